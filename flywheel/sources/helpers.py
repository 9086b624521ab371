"""Other processes that read chunks while the daemon does something else, and the daemon's way to share with them.

One queue of tickets is shared by all: helpers take from it, and so does the daemon when it has to wait for a reading,
so that a helper that is slow, starting or gone holds up nothing that nobody began. What a helper was given the daemon
keeps until it is answered. After any trouble they are sent away and everything is read here: nothing is lost, nothing
differs, it only takes longer.
"""

import contextlib
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flywheel import __version__
from flywheel.sources.chunk_readers import DONE, write_slot
from flywheel.sources.chunk_replies import ChunkReading, ReplyError, readings_in
from flywheel.sources.chunks import Chunk, read_chunk

SLOTS = 24  # of chunks that are given to helpers; two batches have about as many
LARGEST = 8_000_000  # characters of a chunk: a larger one would stand in memory once more
PATIENCE = 20.0  # seconds for one chunk, of which each takes some hundredths

_MOST = 3  # helpers: more would only wait for the daemon
_CROWDED = 2.0  # processes that want to run, for each core
_PROGRAM = (sys.executable, "-P", "-m", "flywheel.sources.chunk_readers", __version__)
_ANSWERS_A_READ = 64


@dataclass
class Given:
    """A chunk that is being read, or was; nobody but the desk that gave it changes it."""

    chunk: Chunk
    size: int
    slot: int | None = None  # where a helper finds it, and then its answer
    answer: int | None = None  # how long that is
    reading: ChunkReading | None = None
    wanted: bool = True


class _AwayError(Exception):
    """Helpers are of no use now."""


class Helpers:
    """A desk with helpers, or without. One object lives as long as its reader."""

    def __init__(self, most: int | None = None, program: Sequence[str] = _PROGRAM) -> None:
        """Start nobody yet; `most` helpers, by default one for each further core of a machine that is not crowded."""
        self._most = most
        self._program = program
        self._children: list[subprocess.Popen[bytes]] = []
        self._slots: list[int] = []
        self._free: list[int] = []
        self._out: dict[int, Given] = {}
        self._tickets: tuple[int, int] | None = None
        self._refused = False

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the processes of the helpers that were started."""
        return tuple(child.pid for child in self._children)

    def call_in(self) -> None:
        """Start helpers, unless they are there or were of no use in this backlog."""
        if self._children or self._refused:
            return
        try:
            self._start(_spare() if self._most is None else self._most)
        except (OSError, AttributeError):  # no memory, no processes, no files in memory
            self._give_up()

    def give(self, chunk: Chunk, size: int) -> Given:
        """Have a chunk read by whoever has time; without helpers, or room for it, it is read here at once."""
        given = Given(chunk, size)
        if not self._free or size > LARGEST:
            _read_here(given)
            return given
        slot = self._free.pop()
        try:
            write_slot(self._slots[slot], pickle.dumps(tuple(chunk), 5))
            given.slot, self._out[slot] = slot, given
            os.write(self._ends()[1], bytes([slot]))
        except (_AwayError, OSError):
            self._give_up()
        return given

    def has_room(self) -> bool:
        """Tell whether a helper could still be given something."""
        return bool(self._free)

    def reading(self, given: Given) -> ChunkReading:
        """Return what a chunk says; reads chunks here as long as nobody else has begun them."""
        while given.reading is None:
            if given.slot is None:
                return _read_here(given)
            try:
                self._get_on(given)
            except (_AwayError, OSError, ReplyError):
                self._give_up()
        return given.reading

    def forget(self, several: Iterable[Given]) -> None:
        """Let go of chunks that nobody wants to know any more; what a helper has begun of them comes to nothing."""
        for given in several:
            given.wanted = False
            if given.answer is not None:
                self._free_slot(given)
        try:
            self._recall()
        except (_AwayError, OSError):
            self._give_up()

    def close(self) -> None:
        """Send the helpers away; they may come again for the next backlog."""
        self._leave()
        self._refused = False

    def _start(self, helpers: int) -> None:
        if helpers < 1:
            return
        self._tickets = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for _ in range(SLOTS):
            self._slots.append(os.memfd_create("flywheel-chunk"))
        for _ in range(helpers):
            self._children.append(
                subprocess.Popen(
                    [*self._program, *map(str, self._slots)],
                    stdin=self._tickets[0],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    pass_fds=self._slots,
                )
            )
        self._free = list(range(SLOTS))

    def _get_on(self, given: Given) -> None:
        """Take one step towards a reading: an answer that came, a chunk that nobody has begun, or waiting."""
        self._collect(0)
        if given.answer is not None and given.slot is not None:
            data = os.pread(self._slots[given.slot], given.answer, 0)
            given.reading = readings_in(data, given.chunk.settings.name, given.chunk.names)
            self._free_slot(given)
        elif (mine := self._take_back()) is not None:
            _read_here(mine)
            self._free_slot(mine)
        elif not self._collect(PATIENCE):
            raise _AwayError

    def _take_back(self) -> Given | None:
        """Return the first chunk that nobody has begun."""
        try:
            taken = os.read(self._ends()[0], 1)
        except BlockingIOError:
            return None
        return self._out[taken[0]]

    def _recall(self) -> None:
        """Take the tickets of unwanted chunks back, and lay those of wanted ones down again in their order."""
        if all(given.wanted for given in self._out.values()):
            return
        waiting: list[Given] = []
        while (one := self._take_back()) is not None:
            waiting.append(one)
        for one in waiting:
            if not one.wanted:
                self._free_slot(one)
            elif one.slot is not None:
                os.write(self._ends()[1], bytes([one.slot]))

    def _collect(self, seconds: float) -> bool:
        """Note which answers came; False when none did in that time."""
        answers = select.poll()
        for child in self._children:
            assert child.stdout is not None
            answers.register(child.stdout.fileno(), select.POLLIN)
        ready = answers.poll(seconds * 1000)
        for descriptor, _ in ready:
            told = os.read(descriptor, DONE.size * _ANSWERS_A_READ)
            if not told or len(told) % DONE.size:
                raise _AwayError  # it ended, or is somebody else
            for slot, size in DONE.iter_unpack(told):
                self._note(slot, size)
        return bool(ready)

    def _note(self, slot: int, size: int) -> None:
        given = self._out.get(slot)
        if given is None or given.answer is not None or os.fstat(self._slots[slot]).st_size != size:
            raise _AwayError
        given.answer = size
        if not given.wanted:
            self._free_slot(given)

    def _free_slot(self, given: Given) -> None:
        if given.slot is not None:
            del self._out[given.slot]
            self._free.append(given.slot)
        given.slot = given.answer = None
        given.chunk = given.chunk.without_rows()

    def _ends(self) -> tuple[int, int]:
        if self._tickets is None:
            raise _AwayError
        return self._tickets

    def _give_up(self) -> None:
        self._leave()
        self._refused = True

    def _leave(self) -> None:
        """End the helpers, and let everything that they had be read here."""
        for child in self._children:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        for descriptor in (*self._slots, *(self._tickets or ())):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        for given in self._out.values():
            given.slot = given.answer = None
        self._children, self._slots, self._free, self._out, self._tickets = [], [], [], {}, None


def _read_here(given: Given) -> ChunkReading:
    given.reading = ChunkReading(read_chunk(given.chunk), {})
    given.chunk = given.chunk.without_rows()
    return given.reading


def _spare() -> int:
    """Return how many helpers there is room for: where many wait for a core, sharing costs more than it saves."""
    cores = _cores()
    try:
        crowded = os.getloadavg()[0] > _CROWDED * cores
    except OSError:
        crowded = False
    return 0 if crowded else min(cores - 1, _MOST)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
