"""Trees in ONNX graphs: read, repaired, folded and written."""
