"""Look at the data: decode, find copies, and report what is wrong."""
