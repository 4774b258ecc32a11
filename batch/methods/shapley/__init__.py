"""Shapley values from forward passes only."""
