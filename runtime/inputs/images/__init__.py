"""The package that turns encoded pictures into pixels."""
