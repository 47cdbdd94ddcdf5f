"""The training engine: one pure function, `train_slice`, and its parts."""
