"""The delivered model: its ONNX graph, manifest and model card. Needs no torch."""
