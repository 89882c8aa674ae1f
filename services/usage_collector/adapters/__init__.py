"""What the collector needs from outside: HTTP, its database, its key files."""
