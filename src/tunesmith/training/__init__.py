"""The training engine: one pure function, `train_slice`, and what it is made of."""
