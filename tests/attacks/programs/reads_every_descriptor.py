"""Reads whatever it can from every descriptor: the next program, another's answer, anything that was left open."""

for fd in range(3, 1024):
    try:
        os.set_blocking(fd, False)
        breach(f"read {os.read(fd, 1 << 20)[:200]!r} from descriptor {fd}")
    except OSError:
        continue
