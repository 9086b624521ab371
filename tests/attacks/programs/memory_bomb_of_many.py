"""Takes memory in many processes at once, each of which stays below the limit of one."""

for _ in range(5):
    quietly(os.fork)
kept = []
while True:
    try:
        kept.append(bytearray(b"x" * (1 << 20)))
    except MemoryError:
        time.sleep(0.01)
    if len(kept) > 200:
        time.sleep(0.01)
