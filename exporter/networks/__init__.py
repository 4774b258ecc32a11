"""The package that makes PyTorch networks of ONNX graphs."""
