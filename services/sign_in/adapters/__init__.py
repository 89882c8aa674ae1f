"""Where accounts and sessions are kept, how passwords are hashed, and the city's directory."""
