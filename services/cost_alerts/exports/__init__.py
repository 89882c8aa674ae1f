"""What leaves the ledger as files: tables for people and spreadsheets, FOCUS for other tools, lines for bookkeeping."""
