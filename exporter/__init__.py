"""Trains or takes a model, compiles its graphs, verifies them, and writes the bundle."""
