"""Predicts and explains one batch of clean rows."""
