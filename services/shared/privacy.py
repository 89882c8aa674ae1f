"""What is not told about people though nobody is named."""

FEWEST_PERSONS = 5
"""A figure about fewer persons is not told: one could tell who they are, or a mean of them tells of each."""
