"""The comparisons of engines that stand before every bundle."""
