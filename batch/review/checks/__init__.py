"""The checks of a finished run, one a file; `audit` makes them in the order of its table."""
