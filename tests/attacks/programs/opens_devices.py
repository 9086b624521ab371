"""Opens devices and makes some: disks, memory, consoles, virtual machines."""

import fcntl
import stat

names = ["mem", "kmem", "port", "kmsg", "vda", "sda", "nvme0n1", "kvm", "fuse", "net/tun", "loop0", "loop-control", "tty0",
         "console", "tty", "ptmx", "pts/0", "vcs", "input/event0", "rtc0", "hpet", "vhost-net", "vsock", "userfaultfd", "cuse", "uinput", "dri/card0", "nvidia0", "snapshot"]  # fmt: skip
for name in names:
    fd = quietly(os.open, f"/dev/{name}", os.O_RDWR | os.O_NONBLOCK)
    if fd is not None:
        if name not in ("ptmx",):
            breach(f"opened /dev/{name}")
        quietly(fcntl.ioctl, fd, 0x5412, b"\n")
for fd in (0, 1, 2):
    if quietly(os.isatty, fd) and quietly(fcntl.ioctl, fd, 0x5412, b"\n") == b"\n":
        breach("types into the terminal")
for folder in everywhere():
    path = os.path.join(folder, "disk")
    for kind, device in (
        (stat.S_IFBLK, os.makedev(254, 0)),
        (stat.S_IFCHR, os.makedev(1, 1)),
        (stat.S_IFCHR, os.makedev(1, 11)),
    ):
        if quietly(os.mknod, path, kind | 0o666, device) is None and os.path.lexists(path):
            fd = quietly(os.open, path, os.O_RDONLY | os.O_NONBLOCK)
            if fd is not None:
                breach(f"opened a device that it made in {folder}")
        quietly(os.unlink, path)
