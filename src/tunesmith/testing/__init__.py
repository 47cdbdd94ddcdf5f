"""Tests that a plug-in's author can run on a part of their own."""
