"""What people see when they sign in, in Finnish, Swedish and English."""
