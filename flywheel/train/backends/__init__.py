"""One module a trainer: spec to command line, output line to progress."""
