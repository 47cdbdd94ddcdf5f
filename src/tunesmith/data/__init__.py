"""From whatever the user points at to clean, split pixels."""
