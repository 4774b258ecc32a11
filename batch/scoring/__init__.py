"""Prediction and explanation of one batch of clean rows."""
