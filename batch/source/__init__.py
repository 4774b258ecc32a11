"""Parquet input: files, footers, decoded batches, clean rows."""
