"""Commands: read projections, write only operator requests."""
