"""What `outlay demo` brings: a provider that speaks the real wire formats, and an application that calls it."""
