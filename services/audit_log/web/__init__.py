"""What people see of the log: pages and mails, in Finnish, Swedish and English."""
