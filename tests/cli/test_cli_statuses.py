"""`flywheel status`: how each line stands, in words, as a document, and as it goes."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_house import LINE
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from standing_house import ACTIVE, CANARY, NOON, SECRETIVE, World

from flywheel.cli import statuses
from flywheel.cli.spans import ago, bar, percent, span
from flywheel.cli.standing_words import plain, shown
from flywheel.daemon.locks import only_daemon
from flywheel.daemon.settings import load_settings
from flywheel.daemon.standings import LineStanding, Standing, Stock, Work, why_idle
from flywheel.store.counters import move_cursor
from flywheel.store.pauses import Pause, keep_pause


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a home in which much has happened."""
    return World(tmp_path)


def test_words_come_first_and_the_table_after(world: World, typed: Any) -> None:
    """Who answers with which share, the pool and what is missing, the run with its bar, the verdict, why nothing is."""
    with only_daemon(world.config.parent):
        said = typed("status", "--config", world.config).out
    for words in (
        "the daemon is at work", f"nothing new {SECRETIVE}", "rung 3 of 4, execution feedback; sft on base main",
        f"{ACTIVE} 90 %, {CANARY} as a canary 10 %", "150 examples, 38 fresh", "62 more for dataset 2",
        "training run-9, running", "30 of 120", "loss 0.4123", "10 min left", f"pass for {CANARY}",
        f"needs 62 more examples {SECRETIVE}; canary {CANARY}: 3 of 50 outcomes",
    ):  # fmt: skip
        assert words in said, words
    table = said.index("unknown")
    assert table > said.index("needs 62 more")
    assert said[table:].split("\n")[1].split() == [LINE, "40", "7", "3", "150", "38", "2"]
    assert "\x1b" not in said


def test_the_document_keeps_its_shape(world: World, typed: Any) -> None:
    """The same as one JSON document, with what it had before in the places where it was."""
    found = json.loads(typed("status", "--json", "--config", world.config).out)
    assert (found["daemon"], found["at"]) == (False, "2026-01-01T12:00:00+00:00")
    (line,) = found["lines"]
    assert (line["line"], line["rung"], line["dataset"], line["pool"]["examples"]) == (LINE, 3, 1, 150)
    assert line["releases"] == {"active": [ACTIVE], "canary": [CANARY]}
    assert line["shares"] == {ACTIVE: 0.9, CANARY: 0.1}
    assert (line["work"][0]["done"], line["work"][0]["of"], line["work"][0]["loss"]) == (30, 120, 0.4123)
    assert (line["verdict"]["adapter"], line["verdict"]["verdict"]) == (CANARY, "pass")
    assert line["needs"] == [{"noun": "example", "held": 150, "fresh": 38, "least": 100, "trigger": 100, "missing": 62}]
    assert line["waits"][1] == f"canary {CANARY}: 3 of 50 outcomes"
    assert line["why"].startswith("no daemon is running")


def test_the_documents_show_what_is_said(world: World) -> None:
    """The example in docs/looking.md is what the command says, to the letter."""
    with world.open() as store:
        found = statuses.look(load_settings(world.config), store).model_copy(update={"daemon": True})
    told = [line.replace(f" {SECRETIVE}", "") for line in plain(found, NOON + timedelta(hours=3))]
    page = (Path(__file__).parents[2] / "docs" / "looking.md").read_text(encoding="utf-8")
    assert "\n".join(told) in page


def test_a_line_that_is_not_on_is_refused(world: World, typed: Any) -> None:
    """The lines that are on are named."""
    typed("status", "--line", "plan", "--config", world.config).refused(2, "'plan' is not a line", f"lines: {LINE}")
    assert LINE in typed("status", "--line", LINE, "--config", world.config).out


def test_policies_that_cannot_be_read_hide_nothing_else(world: World, typed: Any, tmp_path: Path) -> None:
    """What is wrong with them is said; the releases, the work and the verdict are shown all the same."""
    rails = tmp_path / "policies" / "lines"
    rails.mkdir(parents=True)
    (rails / "tool-calling.toml").write_text("nonsense = 1\n")
    config = tmp_path / "flywheel.toml"
    config.write_text(f'policies = "{tmp_path / "policies"}"\n{config.read_text()}')
    said = typed("status", "--config", config).out
    assert "the policies cannot be read" in said
    assert f"{ACTIVE} 90 %" in said


def test_colours_are_where_they_are_asked_for(world: World, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """--color always writes them into a pipe, whatever NO_COLOR says; never and a pipe write none."""
    assert "\x1b[32m" in typed("status", "--color", "always", "--config", world.config).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" in typed("status", "--color", "always", "--config", world.config).out
    assert "\x1b" not in typed("status", "--color", "never", "--config", world.config).out
    typed("status", "--color", "pink").refused(2, "'pink' is not one of 'auto', 'always', 'never'")


def test_the_live_view_tells_only_what_is_new(world: World, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe it says how things stand again when they changed; Ctrl-C ends it with 130."""

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) == 2:
            with world.open() as store, store.write() as session:
                move_cursor(session, "daemon:status", {"at": NOON.isoformat(), "sentence": "changed", "waits": {}})
        if len(looks) == 4:
            raise KeyboardInterrupt

    looks: list[int] = []
    monkeypatch.setattr(statuses, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(statuses.time, "sleep", sleep)
    said = typed("status", "--live", "--json", "--config", world.config)
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert said.status == 130
    assert [found["sentence"] for found in documents] == [f"nothing new {SECRETIVE}", "changed"]


def test_the_live_view_is_drawn_in_place(world: World, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the cursor goes back over what was drawn, and is there again at the end."""

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt

    looks: list[int] = []
    monkeypatch.setattr(statuses.time, "sleep", sleep)
    monkeypatch.setenv("TERM", "xterm")
    said = typed("status", "-w", "--color", "always", "--config", world.config)
    assert said.status == 130
    assert "\x1b[?25l" in said.out
    assert said.out.rstrip().endswith("\x1b[?25h")


def test_a_paused_line_says_who_and_why(world: World, typed: Any) -> None:
    """A pause is why nothing happens, before everything else."""
    with world.open() as store, store.write() as session:
        keep_pause(session, Pause(line=LINE, by="me", reason="a look first", at=NOON, seq=1))
    (line,) = json.loads(typed("status", "--json", "--config", world.config).out)["lines"]
    assert line["why"] == line["paused"] == f"paused by me: a look first (`flywheel resume {LINE}`)"


def test_why_nothing_happens_is_always_said() -> None:
    """A line without anything has a sentence, too, and it is another one while the daemon has not looked."""
    bare = LineStanding(line="plan")
    told = {why_idle(bare, daemon=daemon, looked=looked) for daemon in (True, False) for looked in (True, False)}
    assert len(told) == 3
    assert all(told)
    assert why_idle(bare.model_copy(update={"work": (Work(job="j", kind="train", subject="r", state="running"),)}),
                    daemon=True) == "it is at work"  # fmt: skip


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=60)
_COUNT = st.integers(0, 10**9)
_STANDINGS = st.builds(
    Standing,
    daemon=st.booleans(),
    at=st.none() | st.just(NOON),
    sentence=_WORDS,
    lines=st.lists(
        st.builds(
            LineStanding,
            line=_WORDS,
            rung=st.none() | st.integers(1, 4),
            stocks=st.lists(
                st.builds(Stock, noun=st.just("pair"), held=_COUNT, fresh=_COUNT, least=_COUNT, trigger=_COUNT),
                max_size=2,
            ).map(tuple),
            work=st.lists(
                st.builds(Work, job=_WORDS, kind=_WORDS, subject=_WORDS, state=_WORDS, done=st.none() | _COUNT,
                          of=st.none() | _COUNT, told=st.fixed_dictionaries({"loss": st.none() | st.floats() | _WORDS,
                                                                           "eta_seconds": st.none() | _COUNT})),
                max_size=2,
            ).map(tuple),
            waits=st.lists(_WORDS, max_size=3).map(tuple),
            pool=st.just({}),
            releases=st.just(()),
            paused=_WORDS,
            verdict=st.none(),
            dataset=st.none() | _COUNT,
        ),
        max_size=3,
    ).map(tuple),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(_STANDINGS, st.integers(30, 200))
def test_anything_can_be_shown_at_any_width(standing: Standing, width: int) -> None:
    """Whatever a store holds is shown, in no line longer than the terminal, and nothing in it is taken for markup."""
    console = Console(width=width, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(shown(standing, NOON, width))
    assert all(len(line) <= width for line in capture.get().splitlines())
    for line in standing.lines:
        assert any(line.line in told for told in plain(standing, NOON))


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_full_only_when_it_is(part: float, width: int) -> None:
    """A bar has its width, and only what is whole looks whole."""
    drawn = bar(part, width)
    assert len(drawn) == width
    assert ("░" not in drawn) == (part >= 1)


def test_times_are_told_as_people_tell_them() -> None:
    """Seconds, minutes, hours, days; never a negative time."""
    assert [span(seconds) for seconds in (5, 119, 600, 7200, 200_000)] == ["5 s", "119 s", "10 min", "2.0 h", "2 days"]
    assert (ago(NOON, NOON), percent(0.125)) == ("just now", "12.5 %")
