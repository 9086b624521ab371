"""Lowers the limits of the server that forked it, and its own, to nothing."""

for pid in [*elders(), TARGET["victim"]]:
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_AS):
        if pid not in (os.getpid(), 0) and quietly(resource.prlimit, pid, kind, (1, 1)) is not None:
            breach(f"changed limit {kind} of process {pid}")
os.umask(0o777)
quietly(os.chdir, "/")
for kind in range(16):
    quietly(resource.setrlimit, kind, (0, 0))
