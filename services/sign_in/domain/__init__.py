"""What holds for accounts, sessions and passwords, whatever they are kept in."""
