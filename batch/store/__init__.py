"""The places where files are written."""
