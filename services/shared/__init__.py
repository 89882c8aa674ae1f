"""The kernel: what two or more services need, and nothing that only one of them does."""
