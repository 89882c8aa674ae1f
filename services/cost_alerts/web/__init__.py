"""What people see of the ledger: a page, and the texts of mails and webhooks, in Finnish, Swedish and English."""
