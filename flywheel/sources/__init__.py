"""Says what changed: reads the watched databases, read-only, by cursor."""
