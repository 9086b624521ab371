"""Prints its answer and leaves with a status of failure."""

print(42, flush=True)
os._exit(1)
