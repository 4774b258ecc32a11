"""A bundle, put together in memory and written whole."""
