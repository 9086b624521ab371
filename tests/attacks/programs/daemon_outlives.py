"""Forks twice into a session of its own, ends in peace, and strikes from the grave a moment later."""

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(256):
            quietly(os.close, number)
        time.sleep(0.2)
        while True:
            for folder in [TARGET["folder"], *everywhere()]:
                write(os.path.join(folder, TARGET["mark"]))
            time.sleep(0.05)
    os._exit(0)
print("all done")
