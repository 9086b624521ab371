"""Turns folders into links and back as fast as it can, for whoever writes or cleans there, until it is ended."""

import shutil


def race(name):
    while True:
        quietly(os.mkdir, name)
        quietly(write, f"{name}/a")
        quietly(shutil.rmtree, name)
        quietly(os.symlink, TARGET["folder"], name)
        quietly(os.unlink, name)


home = os.getcwd()
for number in range(4):
    threading.Thread(target=race, args=(f"{home}/r{number}",), daemon=True).start()
for _ in range(200):
    quietly(os.rename, home, home + "x")
    quietly(os.symlink, TARGET["folder"], home)
    quietly(os.unlink, home)
    quietly(os.rename, home + "x", home)
time.sleep(9999)
