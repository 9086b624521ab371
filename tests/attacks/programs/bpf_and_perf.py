"""Loads a program into the kernel, and counts what the machine does."""

attribute = ctypes.create_string_buffer(struct.pack("<IIII", 2, 4, 8, 4) + b"\0" * 112)
if syscall("bpf", 0, attribute, 128)[0] >= 0:
    breach("made a bpf map")
code = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)
kept = ctypes.create_string_buffer(code)
licence = ctypes.create_string_buffer(b"GPL")
attribute = struct.pack("<IIQQ", 1, 2, ctypes.addressof(kept), ctypes.addressof(licence)) + b"\0" * 104
if syscall("bpf", 5, ctypes.create_string_buffer(attribute), 128)[0] >= 0:
    breach("loaded a bpf program")
for kind, exclude in ((1, 0x60), (0, 0x60), (1, 0)):
    event = struct.pack("<IIQQQQQ", kind, 112, 0, 0, 0, 0, exclude) + b"\0" * 64
    for pid in (0, -1, TARGET["victim"]):
        if syscall("perf_event_open", ctypes.create_string_buffer(event), pid, 0 if pid == -1 else -1, -1, 0)[0] >= 0:
            breach(f"counts events of {pid}")
