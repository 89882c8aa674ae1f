"""The ledger's tables and questions in SQL, for SQLite and PostgreSQL alike."""
