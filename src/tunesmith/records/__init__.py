"""What a run remembers: a journal of events, checkpoints, and its folder."""
