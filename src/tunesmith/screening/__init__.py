"""Look for what is wrong with data: values in, findings out; nothing is changed or deleted."""
