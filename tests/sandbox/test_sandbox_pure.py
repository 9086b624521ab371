"""The parts of the sandbox that decide without doing."""

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.errors import CorruptError, MisuseError
from flywheel.sandbox import bubbles, cgroups, plans
from flywheel.sandbox.endings import Told, ending_of
from flywheel.sandbox.frames import encode
from flywheel.sandbox.inside import landlocks
from flywheel.sandbox.inside.performances import value_text
from flywheel.sandbox.languages import Runtimes, UnsupportedError, count_runs, is_inside, said, trials_of
from flywheel.sandbox.programs import Call, Ending, Limits, Program

LIMITS = Limits(seconds=1, output_bytes=100)
GROUND = bubbles.Ground(
    containment="bubblewrap",
    bwrap="/usr/bin/bwrap",
    options=("--disable-userns", "--size"),
    interpreter="/opt/python/bin/python3",
    readable=("/opt/python/bin/python3", "/opt/python/lib/python3.11", "/usr/lib"),
    links={"/lib": "usr/lib"},
)


@given(
    status=st.none() | st.integers(-64, 255),
    word=st.binary(max_size=60) | st.sampled_from([b'{"value": "1"}', b'{"raised": "E"}', b'{"value": 1}', b"[]"]),
    output=st.binary(max_size=200),
    too_much=st.booleans(),
    is_call=st.booleans(),
)
def test_finished_means_that_it_ended_well(status, word, output, too_much, is_call):
    """A run is finished only by status 0 in time and within bounds, and a call only with a value that is JSON text."""
    told = Told(status=status, output=output, word=word, too_much=too_much)
    run = ending_of(told, LIMITS, is_call=is_call)
    if run.ending is Ending.FINISHED:
        assert status is not None
        assert status >= 0
        assert is_call or status == 0
        assert not too_much
        assert (run.value is not None) == is_call
    else:
        assert run.value is None
        assert run.detail
    if run.value is not None:
        json.loads(run.value)
    assert len(run.output) <= LIMITS.output_bytes


@pytest.mark.parametrize("word", [b'{"value": "1"}', b'{"raised": "no"}'])
def test_what_a_test_says_of_itself_does_not_undo_its_end(word):
    """A test that was ended, by a signal or for its time, is not saved by a word it left."""
    assert ending_of(Told(status=None, word=word), LIMITS, is_call=True).ending is Ending.TIMED_OUT
    assert ending_of(Told(status=-9, word=word), LIMITS, is_call=True).ending is Ending.DIED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_a_json_value_comes_out_as_it_is(value):
    """What JSON can say is said unchanged."""
    assert json.loads(value_text(value)) == value


@given(st.sets(st.integers() | st.text()))
def test_a_set_has_one_text(values):
    """The same set is the same text, in whatever order it was filled."""
    assert value_text(values) == value_text(frozenset([*reversed([*values])]))


@given(st.text(max_size=30))
def test_a_name_that_is_inside_stays_inside(name):
    """A file name that is accepted leads nowhere but below its folder."""
    if is_inside(name):
        folder = Path("/a/b/c")
        assert Path(os.path.normpath(folder / name)).is_relative_to(folder)


def test_numbers_that_are_not_finite_cross_as_they_are():
    """An infinite argument is not turned into null on its way."""
    program = Program(code="", entry="f", calls=(Call(args=(math.inf, -math.inf)),))
    assert said(program)["calls"][0]["args"] == (math.inf, -math.inf)


def test_half_a_character_is_turned_down():
    """Text that is no Unicode never reaches a box."""
    for fields in ({"code": "\ud800"}, {"code": "", "inputs": ("\udfff",)}, {"code": "", "files": {"a": "\ud800"}}):
        with pytest.raises(MisuseError, match="half a character"):
            trials_of(Program.model_validate(fields), Runtimes())


def test_arguments_nested_without_end_are_turned_down():
    """What cannot be said on the wire is the asker's mistake."""
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises((MisuseError, CorruptError)):
        encode(said(Program(code="", entry="f", calls=(Call(args=(deep,)),))))


def test_other_languages_say_what_they_miss():
    """Without node, and without stripping of types, the reason is said."""
    script = Program(code="", language="javascript", inputs=("",) * 3)
    assert count_runs(script) == 3
    with pytest.raises(UnsupportedError, match="node is not installed"):
        trials_of(script, Runtimes())
    with pytest.raises(UnsupportedError, match=r"22\.6"):
        trials_of(Program(code="", language="typescript"), Runtimes(node="/usr/bin/node"))


def test_typescript_is_stripped_by_node():
    """A call in TypeScript is a file with the caller behind the code."""
    program = Program(code="const f = (x: number) => x", language="typescript", entry="f", calls=(Call(args=(1,)),))
    (trial,) = trials_of(program, Runtimes(node="/usr/bin/node", strips_types=True))
    assert trial.argv[:2] == ("/usr/bin/node", "--experimental-strip-types")
    assert trial.files["solution.ts"].startswith(program.code)
    assert "f(...[1])" in trial.files["solution.ts"]


def test_limits_stay_under_those_of_the_settings():
    """A program gets what it asks for, and never more than the settings allow."""
    plan = plans.Plan(seconds=10, memory_mib=100)
    asked = Limits(seconds=300, memory_mib=10_000, output_bytes=10**9)
    assert plan.within(asked) == Limits(seconds=10, memory_mib=100, output_bytes=4 * 1024 * 1024)
    small = Limits(seconds=1, memory_mib=16, output_bytes=10)
    assert plan.within(small) == small


@pytest.mark.parametrize("privileged", [True, False])
def test_a_box_has_every_wall(privileged):
    """Namespaces, no capability of use, a read-only root, and one way or the other to be nobody."""
    argv = bubbles.box_argv(GROUND.model_copy(update={"privileged": privileged}), 5, 6, 7)
    for wall in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent"):
        assert wall in argv
    assert ("--unshare-user" in argv) == ("--disable-userns" in argv) == (not privileged)
    text = " ".join(argv)
    assert "--remount-ro / " in text
    assert "--cap-drop ALL" in text
    assert "/proc" not in text
    assert "--clearenv" in text
    assert argv.index("--remount-ro") > max(n for n, word in enumerate(argv) if word in {"--ro-bind", "--dir"})
    writable = [argv[n + 2] for n, word in enumerate(argv) if word in {"--bind", "--dev-bind"}]
    assert all(path.startswith("/dev/") for path in writable)


def test_every_folder_on_the_way_can_be_entered():
    """The folders above what a box sees are made open: it runs as somebody else than who made them."""
    argv = bubbles.box_argv(GROUND, 5, 6, 7)
    made = {argv[n + 1]: argv[n - 1] for n, word in enumerate(argv) if word == "--dir"}
    assert made == dict.fromkeys(["/dev", "/opt", "/opt/python", "/opt/python/bin", "/opt/python/lib", "/usr"], "0755")


def test_landlock_alone_starts_the_interpreter_itself():
    """The explicit setting has no bubblewrap in it."""
    argv = bubbles.box_argv(GROUND.model_copy(update={"containment": "landlock"}), 5, 6, 7)
    assert argv[0] == GROUND.interpreter
    assert "inside" in argv[-1]


@pytest.mark.parametrize(
    ("version", "files", "net", "scopes"), [(1, 13, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (9, 16, 3, 3)]
)
def test_landlock_asks_for_what_the_kernel_knows(version, files, net, scopes):
    """Every right that a version knows is taken in hand, and none that it does not know."""
    assert landlocks.handled(version) == ((1 << files) - 1, net, scopes)


def fake_controls(folder: Path, **files: str) -> Path:
    """A folder of controls as the kernel shows it."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder


def test_a_delegated_group_is_used(tmp_path):
    """In a delegated group of version 2 the executor steps aside into a leaf and bounds each box beside it."""
    unit = fake_controls(tmp_path / "unit", cgroup_controllers="cpu memory pids", cgroup_subtree_control="")
    (unit / "cgroup.procs").write_text("1\n2\n")
    assert cgroups.find_groups(tmp_path, "0::/unit\n") == cgroups.Groups()  # others are in it: a session's
    (unit / "cgroup.procs").write_text(f"{os.getpid()}\n")
    groups = cgroups.find_groups(tmp_path, "0::/unit\n")
    assert groups == cgroups.Groups(folders=(unit,), version=2)
    assert (unit / "keeper" / "cgroup.procs").read_text() == "0"
    assert (unit / "cgroup.subtree_control").read_text() == "+memory +pids"
    (unit / "cgroup.subtree_control").write_text("memory pids")
    assert cgroups.find_groups(tmp_path, "0::/unit/keeper\n") == groups  # as it is seen from the leaf
    fake_controls(unit / "box", memory_max="", memory_swap="", pids_max="", memory_oom="")
    group = cgroups.make_group(groups, "box", 10, 5)
    assert (unit / "box" / "memory.max").read_text() == str(10 * 1024 * 1024)
    assert (unit / "box" / "pids.max").read_text() == "5"
    assert group.doors == (str(unit / "box" / "cgroup.procs"),)


def test_no_groups_where_none_may_be_made(tmp_path):
    """Without controllers there are no groups, and a box is bounded without them."""
    fake_controls(tmp_path / "unit", cgroup_controllers="hugetlb", cgroup_subtree_control="")
    groups = cgroups.find_groups(tmp_path, "0::/unit\n")
    assert groups == cgroups.Groups()
    assert cgroups.make_group(groups, "box", 10, 5) == cgroups.Group()


def test_groups_of_a_killed_executor_are_swept(tmp_path):
    """What an executor left that was killed is removed by the next; what a living one has is not."""
    for name in (f"flywheel-box-{os.getpid()}-0", "flywheel-box-999999999-0", "other"):
        (tmp_path / name).mkdir()
    cgroups.sweep_groups(cgroups.Groups(folders=(tmp_path,), version=2), "flywheel-box-")
    assert {path.name for path in tmp_path.iterdir()} == {f"flywheel-box-{os.getpid()}-0", "other"}


@pytest.mark.parametrize(
    ("key", "value", "mend"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1\n", plans.PROFILE),
        ("kernel/unprivileged_userns_clone", "0\n", "sysctl kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0\n", "sysctl user.max_user_namespaces"),
        ("user/other", "0\n", "docs/executor.md"),
    ],
)
def test_the_mend_is_said_by_what_forbids(tmp_path, key, value, mend):
    """A machine without user namespaces is told which of its settings forbids them."""
    (tmp_path / key).parent.mkdir(parents=True)
    (tmp_path / key).write_text(value)
    assert mend in plans.why_no_box(GROUND, tmp_path)
