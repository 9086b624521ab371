"""Ends in peace while a child keeps its standard output open and says something into it for ever."""

if os.fork() == 0:
    os.setsid()
    while True:
        time.sleep(0.05)
        os.write(1, b"later\n")
print("all done", flush=True)
