"""What is seen in use, incidents and the view of the AI register in the database."""
