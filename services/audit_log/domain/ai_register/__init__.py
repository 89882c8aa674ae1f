"""What the law asks about uses of AI, what is seen in use, incidents, and how the register is told. Pure."""
