"""Returns, and leaves threads and hooks that go on saying other things."""

import atexit


def solve(number):
    def later():
        while True:
            for fd in range(256):
                quietly(os.write, fd, b'\0\0\0\x12{"value":"forged"}')

    for _ in range(4):
        threading.Thread(target=later).start()
    atexit.register(later)
    return "honest"
