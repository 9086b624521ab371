"""From findings to settings: whatever was found, what is written loads, switches on lines that exist, and says so."""

import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.cli.init_choices import Choice, choose, feeds, languages_of, narrowed, specialist
from flywheel.cli.init_findings import Findings, FoundGpu, FoundModel, FoundServer, FoundSource, PassedOver, Places
from flywheel.cli.init_texts import plain, settings_text
from flywheel.cli.init_words import found_words, line_words, missing_words, next_words, watch_words
from flywheel.cli.init_writings import checked, texts_of
from flywheel.core.lines import Line
from flywheel.core.selections import selects
from flywheel.daemon.places import shipped
from flywheel.daemon.settings import Settings, load_settings
from flywheel.policy.loading import load_policies
from flywheel.sources.assignments import assign

LINES = load_policies(shipped("policies")).lines
TEXTS = texts_of(shipped("policies"))
PLACES = Places(config=Path("/c/flywheel.toml"), policies=Path("/c/policies"), home=Path("/h"))
KINDS = ("opencode", "clean-room", "generic", "fleet", "tool-events")

# Whatever a file system may call a file, and a server a model, that UTF-8 can say.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
PATHS = st.lists(TEXT.map(lambda name: name.replace("/", "_")), min_size=2, max_size=4).map(lambda n: Path("/", *n))
SOURCES = st.builds(
    FoundSource, kind=st.sampled_from(KINDS), path=PATHS, version=TEXT, there=st.booleans(),
    outcomes=st.none() | st.integers(0, 10_000), good=st.integers(0, 500), whole=st.booleans(),
    languages=st.dictionaries(st.sampled_from(["python", "typescript", "go", "csharp"]), st.integers(0, 50)),
)  # fmt: skip
MODELS = st.builds(FoundModel, served_as=TEXT, path=st.none() | PATHS,
                   parameters_billion=st.none() | st.floats(0.001, 1000))  # fmt: skip
SERVERS = st.builds(
    FoundServer, url=st.sampled_from([f"http://127.0.0.1:{port}" for port in (8000, 8001, 8080, 11434)]),
    kind=st.sampled_from(["vllm", "llama-server", "ollama", "openai"]), version=TEXT,
    models=st.lists(MODELS, max_size=2).map(tuple), loads=st.none() | st.booleans(),
)  # fmt: skip
FINDINGS = st.builds(
    Findings,
    sources=st.lists(SOURCES, max_size=4).map(tuple),
    passed_over=st.lists(st.builds(PassedOver, path=PATHS, problem=TEXT), max_size=1).map(tuple),
    servers=st.lists(SERVERS, max_size=3, unique_by=lambda one: one.url).map(tuple),
    folders=st.lists(MODELS.filter(lambda one: one.path), max_size=2).map(tuple),
    gpus=st.lists(st.builds(FoundGpu, name=TEXT, memory_gib=st.floats(0, 200)), max_size=1).map(tuple),
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for variable in [name for name in os.environ if name.startswith("FLYWHEEL_")]:
        monkeypatch.delenv(variable)


def opencode(**said) -> FoundSource:
    """A record of opencode."""
    return FoundSource(kind="opencode", path=Path("/d/opencode/opencode.db"), **said)


def found(kind: str, path: str) -> FoundSource:
    """A record of another kind."""
    return FoundSource(kind=kind, path=Path(path))


def chosen(*sources: FoundSource, **said) -> Choice:
    """What is chosen for these sources."""
    return choose(Findings(sources=sources, **said), LINES, TEXTS)


def loaded(text: str) -> Settings:
    """The settings of a text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flywheel.toml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path)


@given(FINDINGS)
@settings(deadline=None, max_examples=30)
def test_what_is_written_loads_as_settings_and_says_what_was_chosen(findings):
    """Whatever was found: names, paths, lines, bases and servers come back as they were chosen, and nothing else."""
    choice = choose(findings, LINES, TEXTS)
    text = settings_text(choice, findings, PLACES)
    read = loaded(text)
    assert read.home == PLACES.home
    assert read.policies == PLACES.policies
    assert read.lines == choice.lines
    assert [(one.name, one.kind, one.path) for one in read.sources] == [
        (one.name, one.found.kind, one.found.path) for one in choice.sources
    ]
    assert {name: base.served_as for name, base in read.bases.items()} == {
        base.name: base.served_as for base in choice.bases
    }
    assert all(read.bases[base.name].path == base.path for base in choice.bases if base.path is not None)
    assert [server.url for server in read.servers] == [server.url for server in choice.servers]
    assert all(plain(line) == line.strip() for line in text.splitlines())


@given(FINDINGS)
@settings(deadline=None, max_examples=30)
def test_every_chosen_line_has_a_policy_and_a_base_and_says_so(findings):
    """Each line is declared by a file that loads, learns on a base of the settings, and every word can be printed."""
    choice = choose(findings, LINES, TEXTS)
    known = set(TEXTS) | set(choice.written)
    assert set(choice.lines) <= known
    lines = {name: line_of(name, choice) for name in choice.lines}
    assert {line.base for line in lines.values()} <= {base.name for base in choice.bases}
    told = [*found_words(findings), *watch_words(choice.sources), *missing_words(choice, findings),
            *next_words(choice, PLACES, usual=False)]  # fmt: skip
    assert all(plain(words) == words.strip() for words in told)


@given(FINDINGS)
@settings(deadline=None, max_examples=30)
def test_no_source_feeds_two_lines_alike(findings):
    """Where sources of several kinds are watched, every line names its own: no outcome becomes ambiguous by it."""
    choice = choose(findings, LINES, TEXTS)
    names = [source.name for source in choice.sources]
    assert len({*names, "gateway"}) == len(names) + 1, "that is what the gateway's own record is called"
    lines = {name: line_of(name, choice) for name in choice.lines}
    for source in choice.sources:
        taking = [line for line in lines.values() if selects(line, source.name)]
        everything = [line for line in taking if not line.select.tags and not line.select.call_types]
        assert not everything or taking == everything, (source, [line.name for line in taking])


def line_of(name: str, choice: Choice) -> Line:
    """A line as its file declares it."""
    table = tomllib.loads(choice.written.get(name, TEXTS.get(name, "")))
    return Line.model_validate({**table, "name": name})


def test_opencode_s_languages_choose_the_lines():
    """The languages that the history is about; all that ship where it tells of none."""
    assert chosen(opencode(languages={"rust": 4, "typescript": 0})).lines == ("build-rust", "build-ts")
    assert chosen(opencode()).lines == ("build-python", "build-ruby", "build-rust", "build-swift", "build-ts")
    assert chosen(opencode(languages={"python": 3})).written == {}


def test_what_a_line_needs_and_what_the_history_has_is_said():
    """A person knows at once how far the first dataset is."""
    choice = chosen(opencode(languages={"rust": 4, "typescript": 12}))
    assert [words.partition(":")[2] for words in line_words(choice)[:2]] == [
        " its first dataset at 300 examples; your history has 4 good answers",
        " its first dataset at 400 examples; your history has 12 good answers",
    ]
    assert "history" not in " ".join(line_words(chosen(found("generic", "/a/x.db"))))


def test_a_language_without_a_line_gets_one_when_there_is_enough_of_it():
    """Made after that for Python, with the language in its place, and it selects that language alone."""
    choice = chosen(opencode(languages={"go": 10, "python": 1, "lua": 9}))
    assert choice.lines == ("build-python", "build-go")
    made = line_of("build-go", choice)
    assert languages_of(made) == {"go"}
    assert made.model_copy(update={"name": "", "why": "", "select": LINES["build-python"].select}) == LINES[
        "build-python"
    ].model_copy(update={"name": "", "why": ""})
    assert "Go" in made.why
    assert "ython" not in choice.written["build-go"]


def test_a_clean_room_gets_its_five_stages_on_their_two_bases():
    """Each base is known by its name at the server or on the disk, and each has its server."""
    models = (FoundModel(served_as="Qwen/Qwen2.5-Coder-3B-Instruct", path=Path("/m/coder")),)
    folders = (FoundModel(served_as="Qwen3-4B", path=Path("/m/Qwen3-4B"), parameters_billion=4.02),)
    server = FoundServer(url="http://127.0.0.1:8000", kind="vllm", models=models)
    choice = chosen(found("clean-room", "/r/shop/.clean_room/raw.sqlite"), servers=(server,), folders=folders)
    assert set(choice.lines) == {"task-analysis", "scope", "precision", "plan", "code"}
    assert [source.name for source in choice.sources] == ["shop"]
    bases = {base.name: base for base in choice.bases}
    assert bases["qwen25-coder-3b"].path == Path("/m/coder")
    assert bases["qwen25-coder-3b"].server == "http://127.0.0.1:8000"
    assert (bases["qwen3-4b"].path, bases["qwen3-4b"].server) == (Path("/m/Qwen3-4B"), "http://127.0.0.1:8001")
    assert {one.url: one.max_lora_rank for one in choice.servers} == {
        "http://127.0.0.1:8000": 32, "http://127.0.0.1:8001": 32,
    }  # fmt: skip


def test_several_kinds_of_source_do_not_take_each_other_s_outcomes():
    """The general line is told its own source, and every other line too."""
    choice = chosen(
        opencode(languages={"python": 1}), found("clean-room", "/r/.clean_room/raw.sqlite"), found("generic", "/a/x.db")
    )
    lines = {name: line_of(name, choice) for name in choice.lines}
    assert lines["tool-calling"].select.sources == ("x",)
    assert lines["build-python"].select.sources == ("opencode",)
    assert lines["scope"].select.sources == ("r",)
    assert lines["scope"].select.call_types == LINES["scope"].select.call_types


def test_the_first_model_that_vllm_serves_is_the_main_base():
    """With its folder, its size and its name; a server that loads no adapters while it runs is only told of."""
    model = FoundModel(served_as="coder", path=Path("/m/coder"), parameters_billion=7.6)
    servers = (
        FoundServer(url="http://127.0.0.1:11434", kind="ollama", version="0.9.0", models=(FoundModel(served_as="q"),)),
        FoundServer(url="http://127.0.0.1:8001", kind="vllm", version="0.32.0", models=(model,), loads=False),
    )
    findings = Findings(sources=(opencode(languages={"python": 1}),), servers=servers)
    choice = choose(findings, LINES, TEXTS)
    assert [(base.name, base.served_as, base.path, base.server) for base in choice.bases] == [
        ("main", "coder", Path("/m/coder"), None)
    ]
    assert [server.url for server in choice.servers] == ["http://127.0.0.1:8001"]
    text = settings_text(choice, findings, PLACES)
    assert "http://127.0.0.1:11434 is ollama 0.9.0: no adapter can be loaded" in text
    assert "which loads no adapters as it was started" in text
    assert "where base" not in " ".join(missing_words(choice, findings))


def test_nothing_found_is_a_machine_that_is_told_what_to_do():
    """Settings that load, with no source and no line; what is missing is said."""
    choice = chosen()
    read = loaded(settings_text(choice, Findings(), PLACES))
    assert (read.lines, read.sources) == ((), ())
    assert "what to watch" in missing_words(choice, Findings(trains=False))[0]


@pytest.mark.parametrize("name", sorted(LINES))
def test_a_narrowed_line_is_the_same_line_with_other_sources(name):
    """Whatever the shipped file looks like; and narrowing twice is narrowing once."""
    text = narrowed(TEXTS[name], ["a", "b"])
    line = Line.model_validate({**tomllib.loads(text), "name": name})
    assert line.select.sources == ("a", "b")
    assert line.model_copy(update={"select": line.select.model_copy(update={"sources": ()})}) == LINES[name].model_copy(
        update={"select": LINES[name].select.model_copy(update={"sources": ()})}
    )
    assert narrowed(text, ["a", "b"]) == text


def test_a_specialist_is_made_for_a_language_with_an_odd_name():
    """Its tag is the one that outcomes get."""
    assert 'tags = ["language:cpp"]' in specialist("cpp", TEXTS["build-python"])
    assert "C++" in specialist("cpp", TEXTS["build-python"])


def test_every_combination_passes_the_policy_check(tmp_path):
    """All kinds at once, with a line made anew: what would be written is proven before it is."""
    sources = [found(kind, f"/{kind}/a/b") for kind in KINDS[1:]] + [opencode(languages={"go": 20, "rust": 1})]
    choice = chosen(*sources)
    checked(choice, settings_text(choice, Findings(sources=tuple(sources)), PLACES), tmp_path)
    assert set(feeds([one.found for one in choice.sources], LINES)) <= set(choice.lines)
    assert assign([], {name: line_of(name, choice) for name in choice.lines}) == []
