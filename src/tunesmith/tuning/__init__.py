"""What to try next: samplers propose configs, schedulers decide which trial trains on."""
