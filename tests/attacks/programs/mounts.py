"""Mounts, remounts and moves file systems by the old calls and the new ones."""

none = ctypes.c_char_p(b"none")
for kind, where, flags in ((b"tmpfs", b"/tmp", 0), (b"proc", b"/tmp", 0), (b"sysfs", b"/tmp", 0), (b"", b"/", 32),
                           (b"", b"/", 32 | 4096), (b"", b"/usr", 32 | 4096), (b"cgroup2", b"/tmp", 0), (b"", b"/", 1 << 18)):  # fmt: skip
    if syscall("mount", none, ctypes.c_char_p(where), ctypes.c_char_p(kind), flags, None)[0] == 0:
        breach(f"mounted {kind} at {where} with {flags}")
if syscall("mount", ctypes.c_char_p(b"/"), ctypes.c_char_p(b"/tmp"), none, 4096, None)[0] == 0:
    breach("bound / to /tmp")
for where in (b"/usr", b"/tmp", b"/dev", b"/"):
    if syscall("umount2", ctypes.c_char_p(where), 2)[0] == 0:
        breach(f"unmounted {where}")
if syscall("fsopen", ctypes.c_char_p(b"tmpfs"), 0)[0] >= 0:
    breach("opened a file system")
if syscall("open_tree", -100, ctypes.c_char_p(b"/"), 1)[0] >= 0:
    breach("cloned a tree of mounts")
if syscall("pivot_root", ctypes.c_char_p(b"/tmp"), ctypes.c_char_p(b"/tmp"))[0] == 0:
    breach("pivoted")
