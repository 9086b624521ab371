"""Blocks every signal in every thread and sleeps for ever, with threads that nobody joins."""

signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for _ in range(4):
    threading.Thread(target=time.sleep, args=(9999,), daemon=False).start()
time.sleep(9999)
