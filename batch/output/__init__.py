"""The output folder of a run: everything that writes or reads its files."""
