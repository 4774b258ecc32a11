"""The groups of a run's rows beside each other: `whyport compare RUN --by COLUMN`."""
