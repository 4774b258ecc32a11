"""Shapley values by forward passes alone."""
