"""How long backing up, verifying and restoring a home takes, and what a writer notices of a backup.

Run: python benchmarks/keeping.py [outcomes] [adapters]

The home is made up: outcomes of 4 KiB each in the store, adapters of 32 MiB of random bytes each. Beside the first
backup a writer appends an event every 10 ms and keeps the longest that one took.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.homes import LINE, NOON, Home, put_back

from flywheel.core.events import Event
from flywheel.core.ids import bytes_hash, content_hash
from flywheel.core.training import AdapterManifest
from flywheel.keep.shelves import FolderShelf
from flywheel.proc.files import write_json
from flywheel.store.ledger import append
from flywheel.store.runs import record_adapter
from flywheel.store.stores import insert_new
from flywheel.store.tables import OutcomeRow

MIB = 1 << 20


def fill(home, outcomes, adapters):
    dataset = home.dataset(1)
    for start in range(2, outcomes, 5000):
        rows = [{"key": f"o{n}", "source": "agent", "task": f"t{n}", "session": "s", "repo": "r",
                 "call_type": "x", "at": NOON, "model": "m", "line": LINE, "label": "positive", "confidence": 1.0,
                 "prompt_key": f"p{n}", "body": {"words": os.urandom(2000).hex()}}
                for n in range(start, min(start + 5000, outcomes))]  # fmt: skip
        with home.store.write() as session:
            insert_new(session, OutcomeRow, rows)
    for number in range(1, adapters + 1):
        files = {"adapter_config.json": b"{}", "adapter_model.safetensors": os.urandom(32 * MIB)}
        hashes = {name: bytes_hash([data]) for name, data in files.items()}
        manifest = AdapterManifest(hash=content_hash(hashes), line=LINE, number=number, run=home.run(number, dataset),
                                   dataset=dataset, base_name="main", base_fingerprint="f", rank=8, target_modules=(),
                                   files=hashes)  # fmt: skip
        folder = home.path / "adapters" / LINE / manifest.folder
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
        with home.store.write() as session:
            record_adapter(session, manifest, str(folder), home.say(session, "train.adapter_published", manifest.name))


def timed(what, work, size):
    began, used = time.monotonic(), time.process_time()
    found = work()
    took, used = time.monotonic() - began, time.process_time() - used
    print(f"{what:34} {took:7.2f} s  {size / MIB / took:7.0f} MiB/s  {used:6.2f} s of a core")
    return found


def writing(home, stop, longest):
    writer = Home(home.path)
    while not stop.is_set():
        began = time.monotonic()
        with writer.store.write() as session:
            append(session, Event(kind="daemon.started", at=NOON))
        longest[0] = max(longest[0], time.monotonic() - began)
        longest[1] += 1
        time.sleep(0.01)
    writer.close()


def main(outcomes, adapters):
    with tempfile.TemporaryDirectory() as folder:
        home, place = Home(Path(folder) / "home"), Path(folder) / "backups"
        fill(home, outcomes, adapters)
        size = sum(path.stat().st_size for path in home.path.rglob("*") if path.is_file())
        print(
            f"a home of {size / MIB:.0f} MiB: {outcomes} outcomes, {adapters} adapters; load {os.getloadavg()[0]:.1f}"
        )
        longest, stop = [0.0, 0], threading.Event()
        thread = threading.Thread(target=writing, args=(home, stop, longest))
        thread.start()
        timed("backup, the first", lambda: home.back_up(place), size)
        stop.set()
        thread.join()
        print(f"{'the longest write beside it':34} {1000 * longest[0]:7.0f} ms of {longest[1]}")
        timed("backup, the next", lambda: home.back_up(place), size)
        timed("verify", home.whole, size)
        timed("restore", lambda: put_back(place, Path(folder) / "new"), size)
        kept = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        print(f"{len(FolderShelf(place).ids())} backups take {kept / MIB:.0f} MiB")
        home.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 50_000, int(sys.argv[2]) if sys.argv[2:] else 8)
