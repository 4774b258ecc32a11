"""The package that compares runs with each other, and with a bundle's training."""
