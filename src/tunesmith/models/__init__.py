"""Networks, and the one function that turns pixels into what a network reads."""
