"""Writes to the host through links: symbolic and hard, relative and absolute, planted where the harness writes."""

goal = os.path.join(TARGET["folder"], TARGET["mark"])
for folder in everywhere():
    for number, to in enumerate(
        (goal, TARGET["folder"], "../" * 40 + goal, TARGET["secret"], "/proc/self/root" + goal)
    ):
        link = os.path.join(folder, f"link{number}")
        quietly(os.symlink, to, link)
        write(link)
        write(os.path.join(link, TARGET["mark"]))
    for name in ("solution.py", "stdin", "stdout", "stderr", "result", "out", "input.txt", "tests.json", "main.py"):
        quietly(os.unlink, os.path.join(folder, name))
        quietly(os.symlink, TARGET["secret"], os.path.join(folder, name))
