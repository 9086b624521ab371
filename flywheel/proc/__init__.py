"""The one supervisor of subprocesses, and the environments they run in."""
