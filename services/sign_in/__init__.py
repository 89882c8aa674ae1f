"""Who signs in here: accounts under pseudonyms, their roles, sessions, and the city's own directory (README.md)."""
