"""A run's state on disk: its folder, journal of events, checkpoints and cache."""
