"""The package of segments: connected parts of a picture that have one share each, also called super-pixels."""
