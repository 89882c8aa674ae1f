"""What people are told: conditions that somebody should act on, and the letters that tell of them."""
