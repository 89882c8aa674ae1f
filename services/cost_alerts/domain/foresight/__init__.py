"""What is to come: the cost of this month and year, with limits, from contracts, plans and the rhythm of use."""
