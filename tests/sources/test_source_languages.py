"""Which language work is about, and what a command proves: whole words, no guessing where evidence does not agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.sources.languages import LANGUAGES, Evidence, language_of, of_command, of_output, of_path
from flywheel.sources.shell_checks import check_of
from flywheel.sources.shell_words import commands_of, ending, words_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/lib.rs", "rust"), ("/a b/Main.TS", "typescript"), ("app.test.tsx", "typescript"), ("x.mjs", "javascript"),
        ("C:\\w\\a.py", "python"), ("Gemfile", "ruby"), ("Cargo.lock", "rust"), ("Package.swift", "swift"),
        ("go.mod", "go"), ("A.java", "java"), ("a.c", "c"), ("a.hpp", "cpp"), ("tsconfig.json", "typescript"),
    ],
)  # fmt: skip
def test_a_file_s_name_tells_its_language(path, language):
    """By its extension, or by its whole name."""
    assert of_path(path) == {language}


@pytest.mark.parametrize(
    "path", ["README.md", "rust", "notes.rs.bak", ".rs", "a.tsv", "a.pyc", "data.json", "my-cargo.toml", "swift/", ""]
)
def test_what_only_looks_like_one_tells_nothing(path):
    """Prose, data, an extension that goes on, a hidden file, a folder."""
    assert of_path(path) is None


@pytest.mark.parametrize(
    ("command", "language"),
    [
        ("cargo test --offline 2>&1 | tail -5", "rust"), ("cd api && RUST_LOG=1 cargo build", "rust"),
        ("pip install -r requirements.txt", "python"), ("python3 -m pytest -q", "python"), ("python app.py", "python"),
        ("bundle exec rspec", "ruby"), ("swift build -c release", "swift"), ("go test ./...", "go"),
        ("sudo timeout 60 npx tsc --noEmit", "typescript"), ('bash -c "mix test"', "elixir"),
    ],
)  # fmt: skip
def test_a_program_tells_its_language(command, language):
    """Wherever it stands in the line, behind assignments and wrappers."""
    assert language_of(Evidence(commands=(command,))) == language


@pytest.mark.parametrize(
    "command",
    ["git commit -m 'cargo test'", "echo npm # cargo test", "cargoship test", "./mycargo build", "go home", "swift",
     "python3 - <<'EOF'\ncargo test\nEOF", "python3 -c 'print(1)'", "cat pip.conf", "make", "docker run rust", ""],
)  # fmt: skip
def test_a_word_that_is_no_program_tells_nothing(command):
    """Arguments, quotes, comments, here-documents, longer words, and helpers that every trade uses."""
    assert of_command(command) == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("error[E0308]: mismatched types\n --> src/main.rs:4", "rust"), ("a.ts(3,1): error TS2304: x", "typescript"),
        ("Traceback (most recent call last):\n  x", "python"), ("12 examples, 0 failures", "ruby"),
        ("a.go:3: b\nc.go:4: d", "go"),
    ],
)  # fmt: skip
def test_output_tells_a_language(text, language):
    """By what compilers and runners say, or by the files named when all are of one language."""
    assert of_output(text) == {language}


@pytest.mark.parametrize("text", ["built with Node.js", "see https://docs.rs/x", "a.py and b.rb", "version 1.2", "ok"])
def test_output_that_names_nothing_certain_tells_nothing(text):
    """Products, hosts, mixed listings."""
    assert of_output(text) is None


def test_what_was_changed_decides_before_what_was_read_run_or_printed():
    """A higher rank is narrowed by lower ones, never overruled."""
    assert language_of(Evidence(edited=("a.ts",), read=("b.py",), commands=("cargo test",))) == "typescript"
    assert language_of(Evidence(edited=("notes.md",), read=("b.py",), commands=("cargo test",))) == "python"
    assert language_of(Evidence(edited=("a.h",), read=("a.cpp",))) == "cpp"
    assert language_of(Evidence(commands=("npm test",), printed=("src/a.ts ok",))) == "typescript"


def test_mixed_and_ambiguous_work_is_nobody_s():
    """Two languages changed, a header alone, a runner of two languages alone."""
    assert language_of(Evidence(edited=("a.py", "b.rs"), commands=("cargo test",))) is None
    assert language_of(Evidence(edited=("a.h",))) is None
    assert language_of(Evidence(commands=("npm test",))) is None
    assert language_of(Evidence()) is None


_TEXTS = st.lists(st.text(max_size=40), max_size=4).map(tuple)


@given(_TEXTS, _TEXTS, _TEXTS, _TEXTS)
def test_anything_can_be_asked(edited, read, commands, printed):
    """Never raises; what it says is a language."""
    found = language_of(Evidence(edited=edited, read=read, commands=commands, printed=printed))
    assert found is None or found in LANGUAGES


@pytest.mark.parametrize(
    ("command", "status", "output", "passed"),
    [
        ("cargo test", 0, "test result: ok. 3 passed", True), ("cd a && npm test", 1, "", False),
        ("pytest -q | tail -3", 0, "=== 1 failed, 2 passed in 0.1s", False),
        ("pytest -q | tail -3", 0, "=== 2 passed in 0.1s", True), ("pytest -q | tail -3", 0, "", None),
        ("set -o pipefail; pytest | tail -3", 1, "", False), ("cargo test || true", 0, "", None),
        ("cargo test; echo done", 0, "", None), ("npm test", 127, "", None), ("npm test", 130, "", None),
        ("npm test", None, "", None), ("node --test", 0, "# fail 2", None), ("npx tsc --noEmit", 2, "", False),
        ("if x; then cargo test; fi", 0, "", None), ("go vet ./...", 0, "", True), ("uv run ruff check .", 0, "", True),
        ("./gradlew :app:check", 0, "", True), ("python -m unittest", 0, "OK", True), ("rspec", 1, "", False),
    ],
)  # fmt: skip
def test_a_check_is_as_good_as_its_exit_status(command, status, output, passed):
    """The status counts where it is the check's own; else its summary does; else nobody can say."""
    found = check_of(command, status, output)
    assert found is not None
    assert found.passed is passed


@pytest.mark.parametrize(
    "command", ["ls -la", "git commit -m 'npm test'", "grep pytest a", "exit 3", "make install", ""]
)
def test_what_checks_nothing_is_no_check(command):
    """Whatever its exit status."""
    assert check_of(command, 1, "FAILED") is None


def test_a_check_that_ran_nothing_proves_little():
    """Zero of zero tests is too weak to make a label."""
    assert check_of("pytest", 0, "collected 0 items").strength < 0.5
    assert check_of("cargo test", 0, "running 0 tests\ntest result: ok. 0 passed").strength < 0.5
    assert check_of("cargo test", 0, "running 1 test\ntest result: ok. 1 passed\nrunning 0 tests").strength == 0.9


def test_a_line_is_read_as_a_shell_reads_it():
    """Quotes, redirections, assignments, here-documents, nested shells."""
    assert words_of("A=1 env -i cargo 'te st' > out 2>&1 < in; sh -c 'npm run x'") == [
        ["cargo", "te st"], ["npm", "run", "x"],
    ]  # fmt: skip
    assert [command.after for command in commands_of("a && b | c\nd")] == ["", "&&", "|", "\n"]
    proven, failing = ending(commands_of("a; b && c | d"))
    assert [command.words[0] for command in proven] == ["b", "d"] == [command.words[0] for command in failing]


@given(
    st.text(alphabet="ab '\"\\\n;&|()<>{}$#=-cargo test", max_size=60), st.one_of(st.none(), st.integers()), st.text()
)
def test_any_line_can_be_read(line, status, output):
    """Never raises, whatever a model wrote."""
    check_of(line, status, output)
