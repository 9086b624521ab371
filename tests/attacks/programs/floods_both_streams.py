"""Writes for ever to both streams at once, without ever ending a line."""


def flood(fd):
    while True:
        os.write(fd, b"x" * 65536)


threading.Thread(target=flood, args=(2,)).start()
flood(1)
