"""Tests that authors of plug-ins can run on their own code."""
