"""What pages are made of: text is shown, never run, and no link leads away."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.web.elements import Html, el, join, link, moment, path_to, prose
from flywheel.web.tables import facts, pager, table


@settings(deadline=None)
@given(st.text())
def test_whatever_a_text_holds_it_is_only_shown(text):
    """No text brings an element, an attribute or an entity of its own into a page, wherever it stands."""
    shown = el("p", text, title=text)
    assert shown.count("<") == 2
    assert shown.count(">") == 2
    assert shown.count('"') == 2
    assert "\u202e" not in shown


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.text())
def test_links_stay_within_the_dashboard(segments, value):
    """Whatever a name holds, the address it leads to begins with one slash and is a link that can be made."""
    address = path_to(*segments, name=value)
    assert address.startswith("/")
    assert address[1:2] not in {"/", "\\"}
    assert "<" not in link("x", *segments, name=value)[1:-7]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//elsewhere.example/", "https://elsewhere.example", "/\\x", ""]
)
def test_a_link_that_leads_away_cannot_be_made(address):
    """An address that is not ours is refused where the page is made, not where it is clicked."""
    with pytest.raises(ValueError, match="leads away"):
        el("a", "x", href=address)


@pytest.mark.parametrize("name", ["onclick", "style", "onload_"])
def test_attributes_that_act_cannot_be_made(name):
    """Handlers and styles in an attribute are refused: the pages' policy would not run them anyway."""
    with pytest.raises(ValueError, match="forbids"):
        el("p", "x", **{name: "x"})


def test_what_is_nothing_is_left_out():
    """None and False vanish as children and as attributes; True is an attribute without a value; lists are joined."""
    assert el("p", None, False, ["a", ("b", 3)], hidden=True, id=None, class_=False) == "<p hidden>ab3</p>"
    assert join(el("br"), Html("<i>x</i>"), "<i>") == "<br><i>x</i>&lt;i&gt;"
    assert el("div", data_of="a", aria_label="b", class_="c") == '<div data-of="a" aria-label="b" class="c"></div>'


def test_a_moment_is_told_to_people_and_to_programs():
    """A moment stands in a time element; where there is none, a dash stands."""
    assert 'datetime="2026-01-02T03:04:05+00:00"' in moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert moment(None) == "\u2013"


def test_what_is_to_be_typed_stands_out():
    """What stands between backquotes is shown as code, the rest as text."""
    assert prose("start it: `flywheel <run>` now") == "start it: <code>flywheel &lt;run&gt;</code> now"


def test_a_table_says_on_every_cell_which_column_it_is_of():
    """The first cell names its row; the others carry their column's name, for screens that are too narrow."""
    shown = table("T", ("a", "b"), [("x", None)], frozenset({1}))
    assert '<th scope="row">x</th><td data-of="b" class="n">\u2013</td>' in shown
    assert "<caption" in shown
    assert facts([("a", None), ("b", 1)]).count("<dt>") == 1


def test_a_list_on_one_page_has_no_ways_to_others():
    """The pager is there where there is somewhere to go, and goes by key."""
    assert pager(("runs",), None, None) is None
    shown = pager(("runs",), None, {"before": 7})
    assert shown is not None
    assert 'href="/runs?before=7"' in shown
    assert "newer" not in shown
