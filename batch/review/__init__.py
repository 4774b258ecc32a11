"""A finished run read back: audit, show, and the data for the report."""
