"""What comparing costs: 100,000 examples in a fresh store, then 1,000 more, as the curate room does it.

    python benchmarks/near_duplicates.py [EXAMPLES] [FURTHER]

Every example is a templated request with a short tool call, a judgement under a long template, or a task with code
for an answer, some of them long. Into them near-duplicates are planted that differ in a few words, and decoys that ask
the same and answer otherwise. What was found is told against the exact share of word triples, without any sketch.
"""

import random
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from flywheel.core.examples import Example, prompt_key
from flywheel.core.outcomes import Message
from flywheel.curate.comparisons import compare_new
from flywheel.store.examples import add_examples
from flywheel.store.kinships import near_examples
from flywheel.store.stores import open_store, sqlite_url

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = 0.9
LINE = "tool-calling"
PLANTED = 0.05
BATCH = 5_000

WORDS = ["".join(letters) for letters in (random.Random(n).choices("aeioulnrstkmp", k=2 + n % 8) for n in range(4_000))]
FOLDERS = (
    "api",
    "auth",
    "cli",
    "core",
    "db",
    "docs",
    "jobs",
    "lib",
    "net",
    "rpc",
    "src",
    "store",
    "tools",
    "ui",
    "web",
)
TEMPLATE = (
    "You are given the outline of a repository and one symbol of it. Decide whether the symbol is needed for the task, "
    "whether it only supports it, or whether it can be left out. Answer with one JSON object.\n"
)


def prose(draw, words):
    return " ".join(draw.choices(WORDS, k=words))


def code(draw, lines):
    made = (
        f"    {draw.choice(WORDS)} = {draw.choice(WORDS)}({draw.choice(WORDS)}, {draw.randrange(99)})"
        for _ in range(lines)
    )
    return f"def {draw.choice(WORDS)}({draw.choice(WORDS)}):\n" + "\n".join(made)


def call(name, path):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {{"path": "{path}"}}}}\n</tool_call>'


def request(draw):
    path = f"{draw.choice(FOLDERS)}/{draw.choice(WORDS)}_{draw.choice(WORDS)}.py"
    return f"{draw.choice(['Show', 'Open', 'Read', 'Print'])} {path}, line {draw.randrange(999)}", call(
        "read_file", path
    )


def judgement(draw):
    path = f"{draw.choice(FOLDERS)}/{draw.choice(WORDS)}.py"
    return (
        f"{TEMPLATE}Task: {prose(draw, 20)}\n{path}\n{code(draw, 12)}",
        f'{{"file": "{path}", "needed": {draw.choice(["true", "false"])}, "reason": "{prose(draw, 14)}"}}',
    )


def work(draw):
    return f"{prose(draw, 90)}\n{code(draw, 10)}", f"```python\n{code(draw, 9)}\n```"


def long_work(draw):
    return f"{prose(draw, 300)}\n{code(draw, 40)}", f"```python\n{code(draw, 40)}\n```"


def edited(draw, text, words):
    """Replace a few words, in their places."""
    parts = text.split(" ")
    for place in draw.sample(range(len(parts)), min(words, len(parts))):
        parts[place] = draw.choice(WORDS)
    return " ".join(parts)


def corpus(count, seed):
    """Yield questions with answers, and whom they repeat: some nearly repeat an earlier one, or only its question."""
    draw = random.Random(seed)
    kept = []
    for number in range(count):
        chance = draw.random()
        if chance < 2 * PLANTED and kept:
            older, question, answer = draw.choice(kept)
            if chance < PLANTED:
                yield edited(draw, question, draw.randrange(3)) + " .", edited(draw, answer, draw.randrange(2)), older
            else:
                yield question, edited(draw, answer, max(4, len(answer.split()) // 8)), older
        else:
            (kind,) = draw.choices([request, judgement, work, long_work], weights=[33, 33, 32, 2])
            made = kind(draw)
            kept.append((number, *made))
            yield *made, None


def examples(made, start):
    for number, (question, answer, _) in enumerate(made, start):
        asked = (Message(role="system", content="You are a careful agent."), Message(role="user", content=question))
        yield Example(
            id=f"e{number}", line=LINE, outcome=f"o{number}", task=f"t{number}", session=f"s{number}", group="g",
            category="c", at=NOW, origin="logged", messages=(*asked, Message(role="assistant", content=answer)),
            prompt_key=prompt_key(asked),
        )  # fmt: skip


def fill(store, made, start):
    batch = list(examples(made, start))
    for first in range(0, len(batch), BATCH):
        with store.write() as session:
            add_examples(session, batch[first : first + BATCH])


def timed(store):
    """Return the seconds that comparing took, and those in which a processor was ours: others may be at work here."""
    began, used = time.perf_counter(), time.process_time()
    compare_new(store, {LINE: AT})
    return time.perf_counter() - began, time.process_time() - used


def triples(text):
    """Return the word triples of a text, by the words of `curate.nearness` and nothing else of it."""
    words = re.findall(r"[^\s()\[\]{}<>\"'`,;:/\\.]+", text)
    return {tuple(words[place : place + 3]) for place in range(len(words) - 2)} or {text}


def share(one, other):
    first, second = triples(one), triples(other)
    return len(first & second) / len(first | second)


def truth(one, other):
    return min(share(one[0].lower(), other[0].lower()), share(one[1], other[1]))


def quality(store, made):
    """Print what was found of what is there, and what of the found is there: pairs of question and answer."""
    with store.read() as session:
        found = {(int(newer[1:]) - 1, int(older[1:]) - 1) for newer, older in near_examples(session, LINE, AT)}
    planted = {(number, older) for number, (*_, older) in enumerate(made) if older is not None}
    alike = {pair: truth(made[pair[0]], made[pair[1]]) for pair in planted | found}
    there = {pair for pair in planted if alike[pair] >= AT}
    clear = {pair for pair in planted if alike[pair] >= AT + 0.04}
    print(f"planted with an exact similarity of {AT} or more: {len(there):,}, found {share_of(there & found, there)}; "
          f"of {AT + 0.04:.2f} or more: {len(clear):,}, found {share_of(clear & found, clear)}")  # fmt: skip
    right, nearly = ({pair for pair in found if alike[pair] >= least} for least in (AT, AT - 0.05))
    print(f"found: {len(found):,}, truly {AT} or more {share_of(right, found)}, {AT - 0.05:.2f} or more "
          f"{share_of(nearly, found)}; taken though they were planted below {AT - 0.05:.2f}: "
          f"{sum(alike[pair] < AT - 0.05 for pair in planted & found):,}")  # fmt: skip


def share_of(part, whole):
    return f"{len(part) / len(whole):.2%}" if whole else "none"


def main(count=100_000, further=1_000):
    first, second = list(corpus(count, 1)), list(corpus(further, 2))
    size = sum(len(question) + len(answer) for question, answer, _ in first)
    with tempfile.TemporaryDirectory() as folder, open_store(sqlite_url(Path(folder) / "flywheel.db")) as store:
        fill(store, first, 1)
        before = size_of(folder)
        took, used = timed(store)
        after = size_of(folder)
        print(f"{count:>9,} examples of {size / count:,.0f} characters: {took:.1f} s ({used:.1f} s of a processor), "
              f"{used / count * 1e6:.0f} us and {(after - before) / count:,.0f} bytes each, "
              f"beside {before / count:,.0f} bytes of their own")  # fmt: skip
        fill(store, second, count + 1)
        took, used = timed(store)
        print(f"{further:>9,} further ones: {took:.2f} s ({used:.2f} s of a processor)")
        quality(store, first + second)


def size_of(folder):
    return (Path(folder) / "flywheel.db").stat().st_size


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
