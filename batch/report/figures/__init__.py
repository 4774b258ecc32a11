"""Figures: drawings of the report's data."""
