"""Jobs: one verb a file. Read `fit` first, it is the main path."""
