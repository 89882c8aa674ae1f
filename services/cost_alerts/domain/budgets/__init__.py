"""Budgets: what counts towards one, how much money it holds, and which thresholds have just been passed."""
