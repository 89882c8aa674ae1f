"""Migrations of the sample tables that the store's contract works with."""
