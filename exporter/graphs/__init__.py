"""The graphs of a bundle: in eager PyTorch, as TorchScript, as ONNX."""
