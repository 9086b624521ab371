"""Forks into new sessions and groups, each of which ignores every signal: no group to be killed by."""

while not outside():
    try:
        if os.fork() == 0:
            os.setsid()
            for number in signal.valid_signals():
                quietly(signal.signal, number, signal.SIG_IGN)
    except OSError:
        time.sleep(0.01)
