"""What AI costs, who pays, and whether a budget is about to be passed: the ledger and its alerts."""
