"""What the steps of a run share: its session, its parts of the data, its networks."""
