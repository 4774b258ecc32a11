"""Gradients integrated along straight paths, with a guarantee on every row."""
