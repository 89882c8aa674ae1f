"""The way of letters to people: from the outbox by mail, Teams, webhook and Alertmanager, when a role wants them."""
