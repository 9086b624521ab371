"""Leaves as many dead children as it can without ever asking after them, then ends in peace."""

for _ in range(3000):
    try:
        if os.fork() == 0:
            os._exit(0)
    except OSError:
        break
