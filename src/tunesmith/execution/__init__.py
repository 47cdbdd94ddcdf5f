"""Where work runs: the machine, its processes and its threads."""
