"""What is handed over: a graph, what it expects, and how good it is. Needs no torch."""
