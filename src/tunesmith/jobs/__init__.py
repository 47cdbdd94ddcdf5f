"""Jobs: one verb per file. Read `fit` first; it is the main path."""
