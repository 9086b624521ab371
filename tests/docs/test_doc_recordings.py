"""The picture of the demo is what a real run showed: drawn from its recording, in one file that asks for nothing."""

import xml.etree.ElementTree as ET

import documents as d
import terminals
from hypothesis import given, settings
from hypothesis import strategies as st
from record_demo import PICTURE, RECORDING, drawn

_PARTS = st.sampled_from(
    [
        "word",
        " ",
        "\r",
        "\n",
        "\x1b[2K",
        "\x1b[1A",
        "\x1b[3B",
        "\x1b[0m",
        "\x1b[1;36m",
        "\x1b[?25l",
        "\x1b[99Z",
        "<&>",
        "é│",
    ]
)


def shown(*writes):
    """Return the rows of a terminal after these writes, as plain text."""
    terminal = terminals.Terminal()
    for at, text in enumerate(writes):
        terminal.write(text, float(at))
    return ["".join(text for text, _ in row["pieces"]) for row in terminal.recording()]


def test_a_terminal_shows_what_was_written_last():
    """Carriage returns write over, erasing erases, going up goes up: of a bar the last state is left."""
    assert shown("10 %\r", "90 %") == ["90 %"]
    assert shown("one\ntwo\n", "\x1b[2A\r\x1b[2Kthree") == ["three", "two", ""]
    assert shown("abc\x1b[0K\rx") == ["xbc"]
    assert shown("\x1b[1;31mred\x1b[0m plain") == ["red plain"]


def test_styles_and_moments_are_kept():
    """A piece of a row has its colour, and a row the moment it was last written."""
    terminal = terminals.Terminal()
    terminal.write("\x1b[1mbold\x1b[0m \x1b[36mcyan\x1b[0m\n", 1.5)
    (row, _) = terminal.recording()
    assert row == {"at": 1.5, "pieces": [["bold", "bold"], [" ", ""], ["cyan", "cyan"]]}


@settings(max_examples=60)
@given(st.lists(_PARTS, max_size=30))
def test_whatever_a_program_writes_becomes_a_picture(parts):
    """Any mixture of text and escapes gives an SVG that is well-formed."""
    terminal = terminals.Terminal()
    for at, part in enumerate(parts):
        terminal.write(part, at / 10)
    ET.fromstring(terminals.svg(terminal.recording(), "any <title>"))  # noqa: S314 - it is our own


def test_the_picture_is_the_recording_s():
    """docs/images/demo.svg is what `record_demo.py --draw` makes of docs/images/demo.json, small and complete."""
    picture = drawn()
    assert PICTURE.read_text(encoding="utf-8") == picture
    assert len(picture) < 150_000
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "").replace("http://127.0.0.1", "")
    words = "".join(ET.fromstring(picture).itertext())  # noqa: S314 - it is our own
    for told in ("rollout.adapter_promoted", "gate.adapter_passed", "rolled back"):
        assert told in words


def test_the_recording_names_no_machine():
    """No folder of the machine it was made on is in it."""
    text = RECORDING.read_text(encoding="utf-8")
    assert not any(place in text for place in ("/tmp/", "/root", "/home/", str(d.ROOT)))
