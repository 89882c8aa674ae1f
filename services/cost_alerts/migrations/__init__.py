"""The versions of the ledger's database, run by Alembic when it is opened."""
