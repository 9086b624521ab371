"""Asks for every privilege: other users, capabilities, programs that change the user, files that would."""

import shutil
import subprocess

header, data = struct.pack("<Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
if syscall("capget", ctypes.c_char_p(header), data)[0] == 0 and any(
    struct.unpack("<6I", data.raw)[i] for i in (0, 1, 3, 4)
):
    breach(f"has capabilities {data.raw.hex()}")
full = struct.pack("<6I", *[0xFFFFFFFF, 0xFFFFFFFF, 0] * 2)
if syscall("capset", ctypes.c_char_p(header), ctypes.c_char_p(full))[0] == 0:
    breach("took every capability")
if LIBC.prctl(39, 0, 0, 0, 0) != 1:
    breach("new programs may have new privileges")
before = os.getuid()
for call, args in (
    (os.setuid, (12345,)),
    (os.setresuid, (12345,) * 3),
    (os.setgroups, ([4, 6],)),
    (os.setgid, (12345,)),
):
    try:
        call(*args)
        breach(f"{call.__name__} worked: {os.getresuid()} {os.getgroups()}")
    except OSError:
        pass
for name in ("su", "sudo", "mount", "passwd", "newuidmap", "pkexec", "ping"):
    path = shutil.which(name)
    if path:
        quietly(subprocess.run, [path, "-c", "id"], timeout=1, stdin=subprocess.DEVNULL)
for folder in [TARGET["folder"], *everywhere()]:
    path = os.path.join(folder, TARGET["mark"] + "-suid")
    if write(path, "#!/bin/sh\nid\n"):
        quietly(os.chmod, path, 0o6755)
        quietly(os.chown, path, 0, 0)
