"""DeepSHAP, by the bundle's compiled tensor program or its explain.onnx."""
