"""Whether labels are right: ingests records whose truth is known and compares. Exit code 1 below the bars.

Run: python benchmarks/label_truth.py [--counts] DIR...      (or with FLYWHEEL_TRUTH_DIRS, separated like PATH)
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from clean_room_truth import CleanRoomTruths
from fleet_truth import FleetTruths
from truths import Judged, Truths

TRUTHS: tuple[Truths, ...] = (CleanRoomTruths(), FleetTruths())
POSITIVE_BAR, NEGATIVE_BAR, RECALL_BAR = 0.98, 0.95, 0.70
LABELS, WORTHS = ("positive", "negative", "unknown"), ("good", "bad", "neither")


def main(arguments: Sequence[str]) -> int:
    named = [one for one in arguments if not one.startswith("--")]
    folders = [Path(one) for one in named or os.environ.get("FLYWHEEL_TRUTH_DIRS", "").split(os.pathsep) if one]
    if not folders:
        print("no folder named: nothing was compared")
        return 0
    known = [(folder, kind) for folder in folders for kind in TRUTHS if kind.accepts(folder)]
    for folder in set(folders) - {folder for folder, _ in known}:
        print(f"{folder.name}: no truth of a known kind in it")
    if "--counts" in arguments:
        return print_counts(known)
    judged = [one for folder, kind in known for one in kind.judged(folder)]
    return compare(judged) if len(known) == len(folders) else 1


def print_counts(known: Iterable[tuple[Path, Truths]]) -> int:
    for folder, kind in known:
        counts = Counter((one.call_type, one.labelled.label.value) for one in kind.outcomes(folder))
        print(f"\n{folder.name}: {sum(counts.values())} outcomes")
        print(f"  {'call type':<28}" + "".join(f"{label:>10}" for label in LABELS))
        for call_type in sorted({call_type for call_type, _ in counts}):
            print(f"  {call_type:<28}" + "".join(f"{counts[call_type, label]:>10}" for label in LABELS))
    return 0


def compare(judged: Sequence[Judged]) -> int:
    told = [one for one in judged if one.truth != "untold"]
    answers = [one for one in told if one.answer]
    print(f"{len(judged)} calls; the truth about {len(judged) - len(told)} is not told, they are not counted\n")
    for kind in sorted({one.kind for one in told}):
        print_table(kind, [one for one in told if one.kind == kind])
    passed = print_figures("answers that made or planned something", answers)
    passed &= print_figures("all judged calls", told)
    made = [one for one in answers if one.kind in {"execute_implement", "execute_test_implement"}]
    print_figures("code and tests alone", made)
    print_errors(told)
    return 0 if passed else 1


def print_table(title: str, judged: Sequence[Judged]) -> None:
    counts = Counter((one.label, one.truth) for one in judged)
    print(f"{title:<28}" + "".join(f"{worth:>10}" for worth in WORTHS))
    for label in LABELS:
        print(f"  {label:<26}" + "".join(f"{counts[label, worth]:>10}" for worth in WORTHS))
    print()


def print_figures(title: str, judged: Sequence[Judged]) -> bool:
    print_table(title, judged)
    counts = Counter((one.label, one.truth) for one in judged)
    positive = [counts["positive", worth] for worth in WORTHS]
    negative = [counts["negative", worth] for worth in WORTHS]
    good = [counts[label, "good"] for label in LABELS]
    figures = (
        ("precision of positive labels", positive[0], sum(positive), POSITIVE_BAR),
        ("precision of negative labels", negative[1], sum(negative), NEGATIVE_BAR),
        ("truly good ones found", good[0], sum(good), RECALL_BAR),
    )
    passed = True
    for name, right, of, bar in figures:
        share = right / of if of else 1.0
        passed &= share >= bar
        print(f"  {name:<30} {share:7.1%}  ({right} of {of}, at least {bar:.0%}){'' if share >= bar else '  MISSED'}")
    print()
    return passed


def print_errors(judged: Sequence[Judged]) -> None:
    wrong = [one for one in judged if (one.label, one.truth) in
             {("positive", "bad"), ("positive", "neither"), ("negative", "good"), ("negative", "neither")}]  # fmt: skip
    print(f"{len(wrong)} errors")
    for one in wrong:
        print(f"  {one.where} {one.name} ({one.kind}): called {one.label}, is {one.truth}: {one.why}")
    missed = [one for one in judged if one.answer and (one.label, one.truth) == ("unknown", "good")]
    print(f"{len(missed)} good answers not found")
    for one in missed:
        print(f"  {one.where} {one.name} ({one.kind}): {one.why}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
