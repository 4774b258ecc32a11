"""A bundle's model as methods ask it: scores, and gradients of one score per row."""
