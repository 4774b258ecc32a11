"""Exact Shapley values of tree ensembles, by numba kernels in float64."""
