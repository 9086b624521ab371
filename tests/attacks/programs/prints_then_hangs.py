"""Prints its answer, closes its output, and then never ends."""

print(42, flush=True)
os.close(1)
os.close(2)
while True:
    time.sleep(1)
