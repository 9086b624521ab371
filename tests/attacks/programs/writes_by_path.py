"""Writes to the host by every path it can think of."""

mark = TARGET["mark"]
roots = ["", "/proc/self/root", "/proc/1/root", f"/proc/{os.getppid()}/root", "/oldroot", "/newroot", "../" * 40]
for root in roots:
    for folder in (TARGET["folder"], TARGET["home"], "/etc", "/usr/bin", "/root", "/var/lib", "/work"):
        write(f"{root}{folder}/{mark}")
        quietly(os.mkdir, f"{root}{folder}/{mark}-folder")
    write(root + TARGET["secret"])
    quietly(os.unlink, root + TARGET["secret"])
    quietly(os.chmod, root + TARGET["secret"], 0o777)
    quietly(os.truncate, root + TARGET["secret"], 0)
    quietly(os.rename, root + TARGET["secret"], root + TARGET["folder"] + "/" + mark)
    quietly(os.utime, root + TARGET["secret"], (0, 0))
