"""Parquet in: files, footers, decoded batches, clean rows."""
