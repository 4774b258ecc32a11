"""The comparisons of engines that every bundle has to pass."""
