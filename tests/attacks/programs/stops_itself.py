"""Stops itself and its group: a stopped process answers no request to leave."""

if not outside():
    os.kill(os.getpid(), signal.SIGSTOP)
    os.kill(0, signal.SIGSTOP)
time.sleep(9999)
