"""What outlives a process: SQLite and files. Knows nothing of HTTP."""
