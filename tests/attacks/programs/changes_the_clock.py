"""Sets the clock, by every call for it."""

now = struct.pack("<qq", int(time.time()) + 86400, 0)
for clock in (0, 1, 11):
    if syscall("clock_settime", clock, ctypes.c_char_p(now))[0] == 0:
        breach(f"set clock {clock}")
if syscall("settimeofday", ctypes.c_char_p(now), None)[0] == 0:
    breach("set the time of day")
if syscall("adjtimex", ctypes.c_char_p(struct.pack("<I", 0x2) + b"\0" * 204))[0] >= 0:
    breach("adjusted the clock")
