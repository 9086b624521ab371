"""Starts threads for as long as any can be started."""

threading.stack_size(32768)
while True:
    try:
        threading.Thread(target=time.sleep, args=(600,)).start()
    except (RuntimeError, MemoryError):
        time.sleep(0.01)
