"""`valvomo ledger explain`: from any euro to its events, documents, approver and log entries. See docs/explain.md."""
