"""The audit log: a tamper-evident list of every event, and what it says about reviews that never happened."""
