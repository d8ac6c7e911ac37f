"""The database: its tables, how it is opened and migrated, and the only SQL in the collector."""
