"""Raises what cannot be told: its words run for ever, its class is hidden, its chain bites its tail."""


class Hydra(BaseException):
    def __str__(self):
        while True:
            time.sleep(1)

    __repr__ = __str__

    def __getattribute__(self, name):
        if name == "__traceback__":
            return Hydra()
        return object.__getattribute__(self, name)


def solve(number):
    raise Hydra from Hydra()
