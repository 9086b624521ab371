"""Prints its answer and dies by a signal."""

print(42, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
time.sleep(9999)
