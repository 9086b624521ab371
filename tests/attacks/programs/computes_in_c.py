"""Computes for ages inside one C function, where no Python signal handler gets a turn."""

import re

signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGALRM, lambda *_: None)
re.match(r"(a+)+$", "a" * 64 + "b")
