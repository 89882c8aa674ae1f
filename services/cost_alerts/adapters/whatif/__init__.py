"""What is read from the ledger to reckon what would be."""
