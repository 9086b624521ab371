"""Reads and writes the memory of its elders and of a process of the host."""

value = ctypes.create_string_buffer(4096)
probe = ctypes.create_string_buffer(b"unchanged" * 100)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


ctypes.memset(value, 255, 4096)
for pid in [*elders(), TARGET["victim"]]:
    if pid == os.getpid():
        continue
    for address in (ctypes.addressof(probe), id(None), id(json.dumps), id(sys.modules), TARGET["address"]):
        mine, theirs = Vector(ctypes.addressof(value), 64), Vector(address, 64)
        for name in ("process_vm_writev", "process_vm_readv"):
            found, _ = syscall(name, pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
            if found > 0:
                breach(f"{name} of process {pid}")
    fd = quietly(os.open, f"/proc/{pid}/mem", os.O_RDWR)
    if fd is not None:
        breach(f"opened the memory of process {pid}")
