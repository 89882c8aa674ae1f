"""Agreements that charge by the period: seats, pools, monthly tiers, capacity, fees, minimums, shared costs."""
