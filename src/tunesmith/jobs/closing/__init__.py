"""Close a run: predictions, export, test, and the report."""
