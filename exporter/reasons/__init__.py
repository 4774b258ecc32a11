"""The graphs that explain: DeepSHAP's program, explain.onnx and gradient.onnx."""
