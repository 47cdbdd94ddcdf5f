"""Jobs: one verb per file, and their steps in folders. Read `fit` first; it is the main path."""
