"""Export a network to ONNX, which needs no torch to run, and verify it on real images."""
