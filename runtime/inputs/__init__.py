"""Conversion of raw values to the tensors that graphs take."""
