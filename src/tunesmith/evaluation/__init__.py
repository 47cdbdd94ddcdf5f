"""What a model is worth: metrics, calibration, baselines."""
