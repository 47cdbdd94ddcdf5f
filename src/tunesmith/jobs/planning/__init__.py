"""Measure the machine and the networks, and decide what to train."""
