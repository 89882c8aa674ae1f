"""A city that does not exist, for the demo and the tests: its vendors' interfaces over HTTP, its own applications."""
