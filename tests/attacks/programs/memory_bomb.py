"""Takes memory and writes to it until there is none."""

kept = []
while True:
    try:
        kept.append(bytearray(os.urandom(1 << 16)) * 64)
    except MemoryError:
        time.sleep(0.01)
