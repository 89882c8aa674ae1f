"""One file per simulated vendor: its interface as the collector meets it."""
