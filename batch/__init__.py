"""Streams Parquet files through predictions and explanations to Parquet."""
