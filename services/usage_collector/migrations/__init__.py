"""The versions of the collector's database, in order."""
