"""What the handlers need from outside, in their words; `adapters/` keeps it, on both stores alike."""
