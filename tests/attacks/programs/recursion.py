"""Calls itself until the C stack ends, with Python's own guard taken away."""

sys.setrecursionlimit(1 << 30)


class Deep:
    def __repr__(self):
        return repr(self) + repr([self])


deep = []
for _ in range(10_000_000):
    deep = [deep]
try:
    repr(Deep())
except RecursionError:
    pass
deep == deep.copy()
repr(deep)
