"""Search for hyperparameters and architectures in worker processes."""
