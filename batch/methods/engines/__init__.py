"""A bundle's model as the methods use it: scores, and gradients of one score per row."""
