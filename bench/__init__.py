"""The benchmark: hubbub, its peers and the floor at the same work, in the same minutes, on one machine."""
