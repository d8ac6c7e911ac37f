"""OpenTelemetry in: bodies, their encodings, and the spans inside them. Knows nothing of calls."""
