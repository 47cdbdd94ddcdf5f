"""From a network to files that need no torch, compared with the network on real images."""
