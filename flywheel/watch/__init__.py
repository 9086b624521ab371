"""Says that something changed. Hints only: the truth is always read again."""
