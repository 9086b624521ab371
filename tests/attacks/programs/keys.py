"""Leaves a key in the kernel's rings, where the next test and the host would find it."""

for ring in (-1, -2, -3, -4, -5):
    found, _ = syscall(
        "add_key", ctypes.c_char_p(b"user"), ctypes.c_char_p(TARGET["mark"].encode()), ctypes.c_char_p(b"x"), 1, ring
    )
    if found > 0:
        breach(f"put a key into ring {ring}")
    if syscall("keyctl", 0, ring, 1)[0] > 0:
        breach(f"has ring {ring}")
syscall("keyctl", 1, ctypes.c_char_p(b"attack"))
