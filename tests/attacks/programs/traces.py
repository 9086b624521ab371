"""Traces its elders and a process of the host."""

for pid in [*elders(), TARGET["victim"]]:
    if pid == os.getpid():
        continue
    for request, name in ((16, "attach"), (0x4206, "seize")):
        if syscall("ptrace", request, pid, 0, 0)[0] == 0:
            breach(f"traces process {pid} ({name})")
child = quietly(os.fork)
if child == 0:
    time.sleep(5)
    os._exit(0)
if child and syscall("ptrace", 16, child, 0, 0)[0] == 0:
    breach("traces a child")
