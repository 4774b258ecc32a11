"""The kinds of model that can be exported: one file each, one line each in a table."""
