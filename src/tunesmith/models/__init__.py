"""Networks, and the preprocessing from pixels to their input."""
