"""Reads from nowhere."""

ctypes.string_at(0)
