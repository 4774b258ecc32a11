"""A finished run looked at again: audit, show, and what the report reads."""
