"""Cases, findings, draws and the queue in the database."""
