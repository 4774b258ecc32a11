"""A run, from the plan to the finished folder."""
