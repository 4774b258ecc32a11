"""The bundle format in one place: sidecar, files, graphs, test vectors, reference rows."""
