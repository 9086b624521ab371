"""Overwrites the interpreter's own objects, so that it falls over whatever it does next."""

import gc

for thing in (None, True, (), "", int, dict):
    ctypes.memset(id(thing), 255, 24)
gc.collect()
