"""The package of `lime`."""
