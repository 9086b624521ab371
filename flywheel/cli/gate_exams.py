"""What `flywheel gate` asks, and by which gate it judges: a suite of the house, an imported one, or a starter."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flywheel.core.errors import CorruptError, MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.lines import DatasetPlan, Gate
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.gate.foreign_suites import choose, publish_chosen, starter, starter_names
from flywheel.gate.suites import CODE, MANIFEST, SuiteManifest, read_manifest
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.loading import load_policies
from flywheel.store.stores import Store
from flywheel.store.suites import live_suite

_USUAL = "tool-calling"  # the gate, and the starter, where nothing says which


class Exam(Frozen):
    """A suite's folder with what its manifest says, and the gate that judges the answers."""

    folder: Path
    manifest: SuiteManifest
    gate: Gate

    @property
    def called(self) -> str:
        """Return the suite's name, or its hash where it has none."""
        return self.manifest.name or self.manifest.hash[:8]


def policies_of(settings: Settings) -> PolicySet:
    """Return the policies in force."""
    return load_policies(policies_folder(settings))


def base_of_line(policies: PolicySet, line: str) -> str:
    """Return the base that a line learns on; a misspelt line is said with those there are."""
    if not line:
        return ""
    if line not in policies.lines:
        raise MisuseError(f"no policy declares line {line!r}", f"lines: {', '.join(sorted(policies.lines)) or 'none'}")
    return policies.lines[line].base


def find_exam(settings: Settings, store: Store | None, wanted: str, line: str, gate: str) -> Exam:
    """Return the suite a person named, else the live one of the line, else a starter; with the gate to judge by."""
    policies = policies_of(settings)
    folder = _named(settings, wanted) if wanted else _live(settings, store, line)
    if folder is None:
        folder = _starter(settings, _usual_starter(policies, line, gate))
    manifest = read_manifest(folder)
    return Exam(folder=folder, manifest=manifest, gate=_gate(policies, line or manifest.line, gate, manifest))


def _usual_starter(policies: PolicySet, line: str, gate: str) -> str:
    """Return the starter of the gate that judges, else the one for tool calling."""
    declared = policies.lines.get(line)
    judging = policies.gates.get(gate or (declared.gate if declared else ""))
    if not starter_names():
        raise MisuseError("there is no suite to measure on", "name one with --suite, or a line with --line")
    return judging.starter if judging and judging.starter else _USUAL


def _gate(policies: PolicySet, line: str, wanted: str, manifest: SuiteManifest) -> Gate:
    """Return the gate that was named, else the line's, else one for what the suite asks most."""
    declared = policies.lines.get(line)
    name = wanted or (declared.gate if declared else _fitting(policies, manifest))
    if name not in policies.gates:
        raise MisuseError(f"no policy declares gate {name!r}", f"gates: {', '.join(sorted(policies.gates)) or 'none'}")
    return policies.gates[name]


def _fitting(policies: PolicySet, manifest: SuiteManifest) -> str:
    asked = max(manifest.kinds, key=lambda kind: manifest.kinds[kind], default=manifest.metric)
    names = sorted(policies.gates, key=lambda name: (name != _USUAL, name))
    alike = CODE if asked in CODE else {asked}
    return next((name for name in names if policies.gates[name].metric in alike), _USUAL)


def _live(settings: Settings, store: Store | None, line: str) -> Path | None:
    if not line or store is None:
        return None
    with store.read() as session:
        suite = live_suite(session, line)
    return settings.home / "suites" / suite.hash if suite else None


def _named(settings: Settings, wanted: str) -> Path:
    """Return the folder of the suite that has this name, or whose hash begins so; of several with a name the newest."""
    found = dict(_readable(settings.home / "suites"))
    named = [folder for folder, manifest in found.items() if manifest.name == wanted]
    if named:
        return max(named, key=lambda folder: (folder / MANIFEST).stat().st_mtime)
    begun = [folder for folder in found if folder.name.startswith(wanted)]
    if len(begun) > 1:
        raise MisuseError(f"{wanted!r} begins the hashes of {len(begun)} suites", "give more of the hash")
    if begun:
        return begun[0]
    if wanted in starter_names():
        return _starter(settings, wanted)
    told = f"see `flywheel suites list`; starters: {', '.join(starter_names()) or 'none'}"
    raise MisuseError(f"no suite is called {wanted!r}", told)


def _readable(suites: Path) -> Iterator[tuple[Path, SuiteManifest]]:
    for folder in sorted(suites.glob("*")):
        with suppress(CorruptError):  # another suite's trouble is not this one's
            yield folder, read_manifest(folder)


def _starter(settings: Settings, name: str) -> Path:
    """Write a starter down as a suite of its own, apart from those that lines are judged on."""
    place, provision = settings.home / "trials" / "suites", starter(name)
    chosen = choose(provision, lambda _: {}, DatasetPlan().near_threshold)
    return place / publish_chosen(provision, chosen, "", place).hash
