"""The query API: one noun a file. Everything under /api/v1, and the health of the process."""
