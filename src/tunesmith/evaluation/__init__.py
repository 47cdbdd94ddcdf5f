"""Evaluate models: metrics, confidence intervals, calibration, baselines."""
