"""Reads bundles and runs them with ONNX Runtime; the contract that the other packages share. Never imports torch."""
