"""The versions of the log's database."""
