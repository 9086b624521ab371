"""Kills its parent, its pid 1 and whatever else has a small number, with every signal there is."""

if not outside():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL):
        for pid in elders():
            if pid != os.getpid():
                quietly(os.kill, pid, number)
print("all done")
