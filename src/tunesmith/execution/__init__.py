"""Where work runs: what the machine offers."""
