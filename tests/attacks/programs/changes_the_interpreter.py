"""Writes to the interpreter and its library, where the next test would read."""

import sysconfig

folders = {os.path.dirname(json.__file__), os.path.dirname(os.path.dirname(json.__file__)), *sys.path, sys.prefix}
folders |= {
    sysconfig.get_path("purelib"),
    os.path.dirname(sys.executable),
    os.path.join(os.path.dirname(json.__file__), "__pycache__"),
}
for folder in filter(None, folders):
    for name in ("sitecustomize.py", "usercustomize.py", "json.py", "attack.pth", "solution.py"):
        if write(os.path.join(folder, name), "import os; os._exit(7)\n") and os.path.abspath(folder) not in map(
            os.path.abspath, everywhere()
        ):
            breach(f"wrote {folder}/{name}")
for path in (sys.executable, json.__file__, os.__file__):
    fd = quietly(os.open, path, os.O_RDWR)
    if fd is not None:
        breach(f"may change {path}")
