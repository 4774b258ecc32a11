"""Training: from a table to a network."""
