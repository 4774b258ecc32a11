"""Figures: how data is drawn."""
