"""The package of reason texts: the strongest reasons against an outcome, in the user's words."""
