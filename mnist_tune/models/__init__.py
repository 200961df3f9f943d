"""A chosen configuration: trained, confirmed, kept, and measured on its job's test data."""

SEEDS = 5
"""How many seeds a confirmation has unless somebody says otherwise."""
