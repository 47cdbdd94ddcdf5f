"""Find problems in a data set: arrays in, findings out; nothing is changed or deleted."""
