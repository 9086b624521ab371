"""Does its work on the way out: destructors, finalisers and hooks that start again whatever ends."""

import atexit
import weakref


class Phoenix:
    def __del__(self):
        globals()[f"p{time.monotonic_ns()}"] = Phoenix()
        time.sleep(0.01)
        quietly(os.write, 1, b"again\n")


bird = Phoenix()
weakref.finalize(bird, time.sleep, 9999)
atexit.register(time.sleep, 9999)
threading._register_atexit(lambda: time.sleep(9999))
sys.excepthook = lambda *_: time.sleep(9999)
raise SystemExit(0)
