"""Opens files, pipes and sockets until nothing can be opened, and keeps a second process that does so too."""

quietly(os.fork)
kept = []
for opens in (lambda: os.open("/dev/null", os.O_RDONLY), lambda: os.pipe(), lambda: socket.socketpair()):
    for _ in range(200_000):
        found = quietly(opens)
        if found is None:
            break
        kept.append(found)
print(1)
time.sleep(9999)
