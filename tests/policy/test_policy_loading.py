"""Loading: whole or not at all, and every error is a line that a person can mend."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.core.errors import MisuseError, SettingsError
from flywheel.policy.explaining import explain_line
from flywheel.policy.loading import check_policies, load_policies, run_cases
from flywheel.policy.problems import PolicyError

Spoil = Callable[[str, str, str], None]
RAIL, LINE, GATE = "guardrails/replay.toml", "lines/tools.toml", "gates/exam.toml"
CASES = "guardrails/replay.cases.toml"


def complaint(policies: Path) -> str:
    problems = check_policies(policies)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return str(problems[0])


def test_a_sound_folder_loads_whole(policies: Path) -> None:
    """Everything is there under the name of its file, and nothing is wrong."""
    assert check_policies(policies) == []
    loaded = load_policies(policies)
    assert [each.name for each in loaded.guardrails] == ["replay"]
    assert (list(loaded.lines), list(loaded.gates), list(loaded.rollouts)) == (["tools"], ["exam"], ["slow"])
    assert loaded.lines["tools"].name == "tools"


WHY = 'why     = "Rehearse."'
BASE, END = 'base = "main"', 'rollout = "slow"'
NUMBERS = f"{END}\n[train.hyperparameters]\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (RAIL, "require", "requires", "requires: there is no such key, did you mean 'require'? (what must hold"),
        (RAIL, "low =", "lo =", "require[1].lo: there is no such key, did you mean 'low'? (the least it may be)"),
        (RAIL, "dataset.replay_share", "dataset.replay_shar",
         ("require[1].fact (the number that is looked at): no fact is called 'dataset.replay_shar', "
         "did you mean 'dataset.replay_share'?")),
        (RAIL, '"between"', '"betwen"', ("require[1] (what must hold: all of these): no condition kind is called "
         "'betwen', did you mean 'between'?")),
        (RAIL, 'kind = "between", ', "", "has no 'kind': known are above, at_least"),
        (RAIL, "train.start_run", "train.start_runs", ("no intent is called 'train.start_runs', "
         "did you mean 'train.start_run'?")),
        (RAIL, "value = true", "value = 1", ("when[1] (the cases it applies to: all of these hold): "
         "fact 'parent.exists' is true or false and never 1")),
        (RAIL, "low = 0.1", 'low = "0.1"', "require[1].low (the least it may be): must be a number, is '0.1'"),
        (RAIL, WHY, 'mode = "enforced"\nwhy = "x"',
         "mode (stop, or only record): must be 'enforce' or 'observe', is 'enforced', did you mean 'enforce'?"),
        (RAIL, WHY, "", "why (the reason, for whoever is stopped by it): is missing"),
        (RAIL, WHY, 'why = " "', "why (the reason, for whoever is stopped by it): must not be empty"),
        (RAIL, WHY, 'why = "x"\nname = "y"', ("name (the guardrail's name): "
         "the file is already called 'replay': remove this key")),
        (LINE, BASE, BASE + "\nrung = 7", "rung (the rung on the ladder, 1 to 4): must be at most 4, is 7"),
        (LINE, BASE, BASE + '\nrung = "3"', "must be a whole number, is '3'"),
        (LINE, BASE, BASE + "\nplanning = 1", "must be true or false, is 1"),
        (LINE, BASE, BASE + "\nrung = 2026-01-01", "must be a whole number, is '2026-01-01'"),
        (LINE, BASE, BASE + "\ndataset = 3", ("dataset (how a dataset is drawn from the pool): "
         "must be a table, is 3")),
        (LINE, '"exam"', '"exams"', ("gate (the gate its adapters must pass): no gate is called 'exams', "
         "did you mean 'exam'?")),
        (LINE, '"slow"', '"quick"', "no rollout is called 'quick', known are slow"),
        (LINE, 'rollout = "slow"', 'rollout = "slow"\n[dataset]\nreplai = 0.1',
         "dataset.replai: there is no such key, did you mean 'replay'? (the share of training rows"),
        (LINE, END, NUMBERS + "rank = 0",
         "train.hyperparameters.rank (the size of the adapter): must be above 0, is 0"),
        (LINE, END, NUMBERS + "learning_rate = inf", "must be a finite number"),
        (LINE, END, NUMBERS + 'target_modules = "all"',
         "train.hyperparameters.target_modules (the layers that get an adapter: a list, or 'all-linear')"),
        (GATE, "why", 'metric = "tool_cal"\nwhy', "did you mean 'tool_call'?"),
        ("rollouts/slow.toml", "why", "share = 0.6\nwhy", "share above 0.5 leaves too little traffic"),
        (GATE, "why =", "why", "it is not valid TOML: Expected '=' after a key in a key/value pair (at line 1"),
        (GATE, 'why = "', 'why = "a"\nwhy = "', "it is not valid TOML: Cannot overwrite a value"),
    ],
)  # fmt: skip
def test_an_error_names_the_file_the_meaning_and_the_right_word(
    policies: Path, spoil: Spoil, file: str, old: str, new: str, says: str
) -> None:
    """One mistake gives one line, and nothing of the set is loaded."""
    spoil(file, old, new)
    line = complaint(policies)
    assert line.startswith(f"{file}: ")
    assert says in line
    assert "\n" not in line
    with pytest.raises(SettingsError) as caught:
        load_policies(policies)
    assert caught.value.message == line


def test_all_errors_of_all_files_are_told_at_once(policies: Path, spoil: Spoil) -> None:
    """Whoever mends the files hears of everything; the error counts what it does not say."""
    spoil(RAIL, "low = 0.1", "lo = 0.1")
    spoil(RAIL, "train.start_run", "train.run")
    spoil(LINE, '"slow"', '"quick"')
    spoil(GATE, "why", "wy")
    with pytest.raises(PolicyError) as caught:
        load_policies(policies)
    told = [str(problem) for problem in caught.value.problems]
    assert [line.split(":")[0] for line in told] == [RAIL, RAIL, GATE, LINE]
    assert caught.value.message == f"{told[0]} (and 3 more)"
    assert told == [str(problem) for problem in check_policies(policies)]


def test_a_line_whose_gate_is_broken_is_not_blamed(policies: Path, spoil: Spoil) -> None:
    """A broken gate is told of once, where it is broken."""
    spoil(GATE, "why", "wy")
    assert all(problem.file == GATE for problem in check_policies(policies))


def test_no_folder_no_policies(tmp_path: Path) -> None:
    """A folder that is missing is an error and never an empty set that allows everything."""
    assert "there is no such policies folder" in complaint(tmp_path / "nowhere")
    with pytest.raises(PolicyError):
        load_policies(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "nothing would be guarded" in complaint(tmp_path / "empty")


def test_what_would_not_be_read_is_told_of(policies: Path) -> None:
    """A misspelt folder and a file beside the folders do not pass in silence; notes and hidden files do."""
    (policies / "line").mkdir()
    (policies / "tools.toml").write_text("")
    (policies / "archive").mkdir()
    (policies / "README.md").write_text("notes")
    (policies / "lines" / ".#tools.toml").write_text("half a fi")
    (policies / "lines" / "tools.toml~").write_text("old")
    told = [str(problem) for problem in check_policies(policies)]
    assert told == [
        "line: this folder is not read, did you mean 'lines'?",
        "tools.toml: not read here: it belongs into guardrails, lines, gates, rollouts, remedies",
    ]


def test_bytes_that_are_no_text(policies: Path) -> None:
    """A file that is not UTF-8 says where; one with a byte order mark is read all the same."""
    path = policies / GATE
    path.write_bytes(b'\xef\xbb\xbfwhy = "x"\n')
    assert check_policies(policies) == []
    path.write_bytes(b'why = "\xff"\n')
    assert complaint(policies) == f"{GATE}: it is not UTF-8 text (byte 8)"


def test_a_folder_or_pipe_called_like_a_file(policies: Path) -> None:
    """Only files are read: a pipe would wait for ever."""
    (policies / "gates" / "deep.toml").mkdir()
    os.mkfifo(policies / "rollouts" / "pipe.toml")
    told = [str(problem) for problem in check_policies(policies)]
    assert told == ["gates/deep.toml: it is not a file", "rollouts/pipe.toml: it is not a file"]


def test_what_may_not_be_read(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the system will not give says why."""

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert {str(p).split(": ", 1)[1] for p in check_policies(policies)} >= {"it cannot be read: Permission denied"}


@pytest.mark.parametrize("name", ["Tools", "to ols", "tools@7", "-tools", "to--ols", "tools_x", "tööls"])
def test_a_file_name_becomes_a_name(policies: Path, name: str) -> None:
    """Names stand in URLs, paths and served names: only small letters, digits and hyphens do everywhere."""
    (policies / "gates" / f"{name}.toml").write_text('why = "x"')
    assert "use small letters, digits and single hyphens" in complaint(policies)


def test_the_hash_is_of_the_content(policies: Path, spoil: Spoil) -> None:
    """Comments, white space, order and spelled-out defaults do not count; a number does."""
    before = load_policies(policies).hash
    spoil(RAIL, "why     =", "# a comment\n\nwhy =")
    spoil(GATE, "why", "alpha = 0.05\nwhy")
    assert load_policies(policies).hash == before
    spoil(RAIL, "high = 0.2", "high = 0.25")
    assert load_policies(policies).hash != before


def test_loading_twice_gives_equal_sets(policies: Path) -> None:
    """The same folder is the same set, hash included."""
    first, second = load_policies(policies), load_policies(policies)
    assert first.hash == second.hash
    assert first == second


def test_cases_beside_a_guardrail_are_asked(policies: Path) -> None:
    """An operator's cases are run as they stand; one that fails says what was expected and what was said."""
    (policies / CASES).write_text(
        '[[cases]]\nname = "fine"\nexpect = "allow"\n'
        "[cases.facts]\nparent.exists = true\ndataset.replay_share = 0.15\n"
        '[[cases]]\nname = "wrong"\nexpect = "allow"\n'
        '[cases.facts]\n"parent.exists" = true\ndataset.replay_share = 0.5\n'
        '[[cases]]\nname = "other words"\nexpect = "refuse"\nsays = "moon"\n[cases.facts]\nparent.exists = true\n'
    )
    results = run_cases(policies)
    assert [result.passed for result in results] == [True, False, False]
    assert str(results[0]) == "replay: fine: allow"
    assert str(results[1]) == (
        "replay: wrong: expected allow, got refuse (dataset.replay_share is 0.50, needs 0.10 to 0.20 (replay))"
    )


CASE = '[[cases]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cases = []", "cases (the situations, each with its answer): must not be empty"),
        (CASE + 'expect = "deny"', "cases[1].expect (what the guardrail must say): must be 'allow'"),
        (CASE + 'expect = "hold"\nfacts.parent.exist = true', "did you mean 'parent.exists'?"),
        (CASE + 'expect = "hold"\nfacts.parent.exists = 3', "'parent.exists' is true or false and never 3"),
        (CASE + 'expekt = "hold"\nexpect = "hold"', "cases[1].expekt: there is no such key, did you mean 'expect'?"),
        (CASE + 'expect = "hold"\n[[cases]]\nname = "a"\nexpect = "allow"', "two cases are called 'a'"),
        ("[[cases", "it is not valid TOML"),
    ],
)  # fmt: skip
def test_a_broken_test_file_is_a_problem(policies: Path, text: str, says: str) -> None:
    """Cases are checked as strictly as guardrails; the daemon, which does not ask them, loads all the same."""
    (policies / CASES).write_text(text)
    assert says in complaint(policies)
    assert load_policies(policies).guardrails
    with pytest.raises(PolicyError):
        run_cases(policies)


def test_cases_without_their_guardrail_are_told_of(policies: Path) -> None:
    """A test file that tests nothing is a misspelt one."""
    (policies / "guardrails" / "repla.cases.toml").write_text('[[cases]]\nname = "a"\nexpect = "allow"\n')
    assert "there is no guardrail 'repla' beside it, did you mean 'replay'?" in complaint(policies)


def test_a_line_is_explained_in_words(policies: Path, spoil: Spoil) -> None:
    """What it waits for, then each intent with what stands before it; an unknown line gets the nearest."""
    text = explain_line("tools", load_policies(policies))
    assert text.splitlines()[0] == "tools: It gets better."
    assert (
        "  refused unless dataset.replay_share is 0.10 to 0.20, when parent.exists is true (replay): Rehearse." in text
    )
    with pytest.raises(MisuseError, match="did you mean 'tools'"):
        explain_line("tool", load_policies(policies))
    spoil(RAIL, "guards ", 'mode = "observe"\nguards ')
    assert "noted (not refused) unless" in explain_line("tools", load_policies(policies))


def test_a_guardrail_that_cannot_concern_a_line_is_left_out(policies: Path, spoil: Spoil) -> None:
    """What the line itself declares is known before any fact is read."""
    spoil(RAIL, "parent.exists", "line.is_planning")
    assert "replay" not in explain_line("tools", load_policies(policies))
    spoil(LINE, "base", "planning = true\nbase")
    assert "(replay)" in explain_line("tools", load_policies(policies))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
words = st.sampled_from(["why", "guards", "when", "require", "kind", "fact", "value", "between", "equals", "x"])


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(c if c.isalnum() else f"\\u{ord(c) % 0xD800:04x}" for c in value) + '"'
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
        case None:
            return "1979-05-27"
        case _:
            return repr(value)


trees = st.recursive(
    scalars | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(table=st.dictionaries(words, trees, max_size=5), file=st.sampled_from([RAIL, LINE, GATE, CASES]))
def test_whatever_stands_in_a_file_the_answer_is_lines(policies: Path, table: dict[str, object], file: str) -> None:
    """No content of a file raises anything but a list of problems, each one line that names a file."""
    path = policies / file
    before = path.read_bytes() if path.exists() else None
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in table.items()), encoding="utf-8")
    problems = check_policies(policies)
    assert all("\n" not in str(problem) and "/" in problem.file for problem in problems)
    path.unlink() if before is None else path.write_bytes(before)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(content=st.binary(max_size=60) | st.just(b"a = " + b"9" * 5000) | st.just(b"a = " + b"[" * 5000))
def test_whatever_bytes_a_file_holds_the_answer_is_lines(policies: Path, content: bytes) -> None:
    """Bytes that are no TOML at all are told of as well."""
    (policies / GATE).write_bytes(content)
    assert all(problem.file in {GATE, LINE} for problem in check_policies(policies))
