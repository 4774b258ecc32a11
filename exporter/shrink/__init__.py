"""The package that makes smaller variants of bundles, and measures what they cost."""
