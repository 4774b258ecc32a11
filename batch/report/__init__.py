"""The report of a finished run: `whyport report` gathers its data first, and then draws it."""
