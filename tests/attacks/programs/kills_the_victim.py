"""Sends every kind of signal to a process of the host by its number."""

pid = TARGET["victim"]
for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
    quietly(os.kill, pid, number)
    quietly(os.killpg, pid, number)
    syscall("tgkill", pid, pid, int(number))
    fd, _ = syscall("pidfd_open", pid, 0)
    if fd >= 0:
        syscall("pidfd_send_signal", fd, int(number), 0, 0)
