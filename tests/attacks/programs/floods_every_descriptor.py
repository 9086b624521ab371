"""Writes for ever to every descriptor there is, also those of the harness, without an end of anything."""


def flood(fd):
    while quietly(os.write, fd, b"7" * 65536) is not None:
        pass


for fd in range(3, 256):
    threading.Thread(target=flood, args=(fd,)).start()
time.sleep(9999)
