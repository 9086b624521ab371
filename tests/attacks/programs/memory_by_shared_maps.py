"""Fills maps that are shared between many processes."""

import mmap

for _ in range(4):
    quietly(os.fork)
kept = []
while True:
    found = quietly(mmap.mmap, -1, 1 << 24)
    if found is None:
        time.sleep(0.01)
        continue
    found.write(b"x" * (1 << 24))
    kept.append(found)
