"""Leaves shared memory, semaphores and queues of every kind for the next test and the host."""

syscall("shmget", TARGET["key"], 1 << 20, 0o1666)
syscall("msgget", TARGET["key"], 0o1666)
syscall("semget", TARGET["key"], 4, 0o1666)
syscall("mq_open", ctypes.c_char_p(TARGET["mark"].encode()), 0o102, 0o666, None)
for folder in ("/dev/shm", "/dev/mqueue", "/tmp"):
    write(f"{folder}/{TARGET['mark']}")
    quietly(lambda folder=folder: socket.socket(socket.AF_UNIX).bind(f"{folder}/{TARGET['mark']}.sock"))
kept = quietly(socket.socket, socket.AF_UNIX)
if kept is not None:
    quietly(kept.bind, "\0" + TARGET["mark"])
