"""Types and helpers that all other layers share."""
