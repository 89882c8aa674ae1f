"""The versions of the database of accounts."""
