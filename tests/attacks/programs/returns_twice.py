"""Forks inside the call, so that two processes return, each with a value of its own."""


def solve(number):
    if os.fork() == 0:
        return "child"
    time.sleep(0.05)
    return "parent"
