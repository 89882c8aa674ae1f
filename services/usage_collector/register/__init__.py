"""The city's register: a folder that people write, checked as a whole and published as events."""
