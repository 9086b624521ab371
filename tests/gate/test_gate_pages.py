"""The pages: whatever a model wrote is shown and does nothing, what matters stands on top, the size has a bound."""

import random
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from gate_house import NOW, make_gate, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.verdicts import Problem, Verdict
from flywheel.gate import page_problems
from flywheel.gate.evidence import Samples
from flywheel.gate.journals import Entry, render_journal
from flywheel.gate.page_parts import shown
from flywheel.gate.page_plots import Interval, Moment, interval_plot, time_chart
from flywheel.gate.page_problems import fault_kind
from flywheel.gate.pages import render
from flywheel.gate.verdicts import Subject, judge, without_numbers

TAGS = re.compile(
    r"html|head|meta|title|style|body|header|h[1-3]|p|span|nav|ul|li|a|section|div|table|thead|tbody|tr|th|td|figure|"
    r"figcaption|svg|desc|text|line|rect|circle|path|polyline|article|strong|code|br|pre|details|summary|footer"
)
VOID = {"meta", "br"}
SUBJECT = Subject(adapter="a" * 64, suite="5" * 64, alpha=0.03, models={"base": "tiny", "candidate": "scope@1"})
#: Everything a model can write: controls, half characters, markup.
TEXT = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    [
        "</pre><script>alert(1)</script>",
        "<img src=x onerror=y>",
        "\x00\x1b[31m",
        "\ud800",
        "\u202egpj.exe",
        "]]>",
        "&#0;",
    ]
)


class Reader(HTMLParser):
    """Reads a page as a browser would, and refuses what is not well nested."""

    def __init__(self, text):
        super().__init__()
        self.skeleton, self.words, self._open = [], [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        """Take an element's beginning."""
        self.skeleton.append((tag, tuple(sorted(name for name, _ in attrs))))
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "xlink:href", "action", "data", "background", "poster", "style"}
            assert name != "href" or value.startswith("#") or re.fullmatch(r"report-[0-9a-f]+\.html", value), value
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Take an element that ends at once."""
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag):
        """Take an element's end."""
        assert self._open.pop() == tag

    def handle_data(self, data):
        """Take text."""
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self):
        """All that is read on the page."""
        return "".join(self.words)

    @property
    def tags(self):
        """The kinds of elements."""
        return {tag for tag, _ in self.skeleton}


def read(page):
    """Return a page that was read; its bytes are UTF-8 and nothing in it can run or be fetched."""
    page.encode("utf-8")
    found = Reader(page)
    assert all(TAGS.fullmatch(tag) for tag in found.tags), found.tags
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    return found


def problem_of(one, question="Show it", expected="yes"):
    return Problem(id=one.problem, kind="exact", category=one.category, group=one.group, expected=expected,
                   messages=({"role": "user", "content": question},), prompt_key=one.problem)  # fmt: skip


def report_on(evidence, **gate):
    return judge(evidence, make_gate(**gate), SUBJECT)


def written(evidence, texts):
    """Evidence whose models wrote these."""
    made = []
    for one, text in zip(evidence, texts, strict=False):
        roles = {role: replace(samples, first=text, detail=text, faults=(text,)) for role, samples in one.roles.items()}
        made.append(replace(one, problem=text, category=text, roles=roles))
    return made


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT)
def test_whatever_a_model_wrote_changes_no_tag_of_the_page(one, other):
    """Two pages that differ in texts only have the same skeleton; both can be written, neither can run anything."""
    evidence = simulate(1, 2)
    report = report_on(evidence)
    pages = []
    for texts in (("plain", "words"), (f"x{one}", f"y{other}")):
        named = report.model_copy(update={
            "sentence": f"fail: {texts[0]}", "categories": {texts[0]: next(iter(report.categories.values()))},
            "sampling": {"models": {"base": texts[1]}},
        })  # fmt: skip
        dressed = written(evidence, texts)
        problems = [problem_of(made, texts[1], texts[0]) for made in dressed]
        pages.append(read(render(named, texts[0], dressed, problems)))
    assert pages[0].skeleton == pages[1].skeleton


@given(TEXT)
def test_shown_text_acts_in_no_way_and_loses_no_letter(text):
    """No control, no half character and no reordering mark is left; what can be read stays as it was."""
    made = shown(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff<>]", made)
    plain = "".join(c for c in text if c.isalnum())
    assert all(letter in made for letter in plain)


def test_the_verdict_stands_on_top_with_the_sentence_to_act_on():
    """Name, verdict in words and the sentence come before anything else; every check comes with its number."""
    evidence = simulate(2, 60, 0.06)
    report = report_on(evidence, minimum_problems=200)
    page = read(render(report, "scope@1", evidence))
    top = page.text.partition("Overall")[0]
    assert "scope@1 ? insufficient evidence" in page.text
    assert "more problems" in top
    for check in report.checks:
        assert check.sentence in page.text
        assert check.seen is None or f"{check.seen:.4g}" in page.text


@pytest.mark.parametrize("active", [True, False])
def test_base_candidate_and_active_stand_beside_each_other(active):
    """Overall, by category and in every problem; the active adapter where there is one."""
    evidence = simulate(3, 40, 0.2, active=active)
    evidence = [replace(one, roles={r: replace(s, first=f"{r} said {one.problem}") for r, s in one.roles.items()})
                for one in evidence]  # fmt: skip
    text = read(render(report_on(evidence), "scope@1", evidence, [problem_of(one) for one in evidence])).text
    assert all(f"{role} said p7" in text for role in ("base", "candidate"))
    assert ("active said p7" in text) is active
    assert "Show it" in text


def test_every_category_has_its_interval_in_the_plot_and_in_a_table():
    """The picture has a title and a description, and the table holds the same numbers."""
    evidence = simulate(4, 120, 0.1)
    page = render(report_on(evidence), "scope@1", evidence)
    svg = page.partition("<svg")[2].partition("</svg>")[0]
    assert 'role="img"' in svg
    assert svg.index("<title") < svg.index("<desc") < svg.index("<line")
    for name in (f"tool-{n}" for n in range(6)):
        assert f">{name}</text>" in svg
        row = page.partition(f'<th scope="row">{name}</th>')[2].partition("</tr>")[0]
        assert re.search(r"[+-]\d+\.\d to [+-]\d+\.\d", row), row


def test_what_was_slow_and_what_broke_is_told_by_role_and_kind():
    """Times of every role, and the answers nobody can use by kind, equal kinds counted as one."""
    evidence = simulate(5, 20)
    faults = ("no answer: status 500: at 12:31", "no answer: status 500: at 12:32", "cut off; called nothing")
    broken = [replace(one, roles={**one.roles, "candidate": replace(one.roles["candidate"], faults=faults)})
              for one in evidence]  # fmt: skip
    text = read(render(report_on(broken), "scope@1", broken)).text
    assert "Seconds an answer took" not in text  # a label, not shown
    assert all(words in text for words in ("What was slow", "half within", "Slowest for the candidate", "What broke"))
    assert re.search(r"no answer: status 500\s*0\s*40", text), text
    assert re.search(r"cut off before the end\s*0\s*20", text)
    unbroken = read(render(report_on(evidence), "scope@1", evidence)).text
    assert "Every answer could be used." in unbroken


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("no answer: no answer within 60 s", "no answer: no answer within N"),
        ("no answer: ClientOSError: [Errno 104]", "no answer: ClientOSError"),
        ("no answer: status 429: slow down", "no answer: status 429"),
        ("cut off; call 1 is x", "cut off before the end"),
        ("the answer is empty", "the answer is empty"),
        ("", "unusable"),
    ],
)
def test_faults_are_counted_by_kind(reason, kind):
    """Numbers and particulars do not make kinds of their own."""
    assert fault_kind(reason) == kind


def test_a_long_answer_is_folded_and_a_very_long_one_is_cut():
    """Short answers stand open; long ones open without a script; what was cut off is said."""
    evidence = written(simulate(6, 3), ["short", "long " * 200, "x" * 100_000])
    page = render(report_on(simulate(6, 3)), "scope@1", evidence)
    assert "<pre>short</pre>" in page
    assert page.count("<details><summary>long long") == 2
    assert "(96,000 more characters)" in page


def test_the_page_has_a_bound_and_says_what_was_left_out(monkeypatch):
    """What was lost comes first; when the room is used up the rest is counted, by category."""
    monkeypatch.setattr(page_problems, "ROOM", 30_000)
    evidence = simulate(7, 400, -0.1)
    page = render(report_on(evidence), "scope@1", evidence, [problem_of(one) for one in evidence])
    lost = sum(one.difference("base") < 0 for one in evidence)
    told = sum(int(found) for found in re.findall(r"<strong>(\d+) more are left out</strong>", page))
    assert told + page.count("<article") == 400
    assert 0 < page.count("<article") < lost
    assert page.index("Lost (") < page.index("left out") < page.index("Gained (")
    assert len(page) < 60_000


def test_a_report_without_numbers_is_a_page_all_the_same():
    """What could not be measured says why, and has no empty sections."""
    report = without_numbers(make_gate(), SUBJECT, "3 attempts failed: <the server> was away")
    page = read(render(report, "scope@1"))
    assert "<the server> was away" in page.text
    assert "Problems" not in page.text
    assert "Nothing of the suite's chance of a false promotion was spent." in page.text


def entries_of(count, seed=1):
    rng = random.Random(seed)
    made = []
    for n in range(count):
        evidence = simulate(n, 40, rng.choice([-0.2, 0.0, 0.3]))
        report = report_on(evidence).model_copy(update={"suite": "5" * 64 if n < count / 2 else "6" * 64})
        made.append(Entry(f"scope@{n + 1}", NOW + timedelta(days=n), report, f"report-{n:08x}.html"))
    return made


def test_the_journal_holds_every_evaluation_newest_first():
    """A chart with one mark each, a line where the suite changed, and a table that links each report's page."""
    entries = entries_of(8)
    text = render_journal("scope", entries)
    page = read(text)
    assert text.index(">scope@8</a>") < text.index(">scope@1</a>")
    assert "8 evaluations on 2 suites" in page.text
    svg = text.partition("<svg")[2].partition("</svg>")[0]
    marks = len(re.findall(r"<circle|<path", svg))
    assert marks == 8
    assert svg.count('class="zero"') == 1
    assert all(f'href="{one.file}"' in text for one in entries)
    assert all(one.report.sentence.partition(": ")[2] in page.text for one in entries)


def test_an_empty_journal_and_one_without_numbers_are_pages():
    """A line that was never measured, and one whose only measurement failed, say so."""
    assert "Nothing was measured yet." in read(render_journal("scope", [])).text
    report = without_numbers(make_gate(), SUBJECT, "the server was away")
    page = render_journal("sc<ope", [Entry("sc<ope@1", NOW, report)])
    assert "the server was away" in read(page).text
    assert "<svg" not in page


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_plots_stay_inside_their_frame(values):
    """Whatever was measured, every mark lies within the picture."""
    rows = [Interval(f"c{n}", at, max(-1, at - half), min(1, at + half)) for n, (at, half) in enumerate(values)]
    moments = [Moment(f"m{n}", NOW + timedelta(hours=n), list(Verdict)[n % 3], half, abs(at), str(n // 7))
               for n, (at, half) in enumerate(values)]  # fmt: skip
    for drawn in (interval_plot("t", rows), time_chart("t", moments)):
        wide, tall = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', drawn).groups())
        assert all(0 <= float(x) <= wide for x in re.findall(r' (?:x|x1|x2|cx)="([^"]+)"', drawn))
        assert all(0 <= float(y) <= tall for y in re.findall(r' (?:y|y1|y2|cy)="([^"]+)"', drawn))


def test_samples_tell_why_each_answer_could_not_be_used():
    """The default is that all could: older evidence renders as before."""
    assert Samples((1.0,)).faults == ()
