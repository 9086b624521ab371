"""flywheel makes a local coding agent better while it works."""

__version__ = "0.1.0"
