"""Kills everything that it may send a signal to."""

if not outside():
    quietly(os.kill, -1, signal.SIGKILL)
time.sleep(0.2)
quietly(os.kill, 0, signal.SIGKILL)
