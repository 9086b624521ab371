from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.gate.metrics.passes import mean_pass_at_k, pass_at_k
from flywheel.gate.metrics.scores import Score
from flywheel.gate.metrics.shares import (
    TOOL_PARSERS,
    FormatShare,
    by_format,
    error_rate,
    format_share,
    part_share,
    passing_share,
)


@pytest.mark.parametrize("drawn", range(1, 9))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(drawn):
    """Over all subsets of k samples: exactly the share that holds at least one right sample."""
    for right in range(drawn + 1):
        samples = [True] * right + [False] * (drawn - right)
        for k in range(1, drawn + 1):
            draws = [any(draw) for draw in combinations(samples, k)]
            assert pass_at_k(drawn, right, k) == pytest.approx(sum(draws) / len(draws), abs=1e-12)


@given(st.integers(1, 300), st.data())
def test_pass_at_k_behaves(drawn, data):
    """Between 0 and 1, pass@1 is the plain share, and it grows with k and with right samples."""
    right, k = data.draw(st.integers(0, drawn)), data.draw(st.integers(1, drawn))
    value = pass_at_k(drawn, right, k)
    assert 0 <= value <= 1
    assert pass_at_k(drawn, right, 1) == pytest.approx(right / drawn)
    assert k == drawn or pass_at_k(drawn, right, k + 1) >= value
    assert right == drawn or pass_at_k(drawn, right + 1, k) >= value


def test_too_few_samples_give_no_number():
    """With fewer than k samples nothing is made up; one problem with too few leaves the mean unknown."""
    assert pass_at_k(3, 1, 4) is None
    assert pass_at_k(3, 1, 0) is None
    assert mean_pass_at_k([(4, 4), (4, 0)], 2) == 0.5
    assert mean_pass_at_k([(4, 4), (1, 0)], 2) is None
    assert mean_pass_at_k([], 1) is None


def test_shares_count_what_they_say():
    """Formats with how often they are right, edits that apply, tests that pass, answers nobody can use."""
    scores = [
        Score(1.0, format="json"), Score(0.0, format="json"), Score(0.0, format="malformed", unusable=True),
        Score(1.0, format="native"),
    ]  # fmt: skip
    assert by_format(scores) == {
        "json": FormatShare(2, 0.5, 0.5), "malformed": FormatShare(1, 0.25, 0), "native": FormatShare(1, 0.25, 1),
    }  # fmt: skip
    assert format_share(scores, "json") == 0.5
    assert error_rate(scores) == 0.25
    assert part_share(scores, "applies") is None
    assert passing_share(scores) is None
    edits = [
        Score(1.0, parts={"applies": 1, "tests": 1}), Score(0.0, parts={"applies": 1, "tests": 0.5}),
        Score(0.0, parts={"applies": 0, "tests": 0}), Score(0.0, unusable=True),
    ]  # fmt: skip
    assert (part_share(edits, "applies"), part_share(edits, "tests"), passing_share(edits)) == (0.5, 0.375, 0.25)
    assert (format_share([], "json"), error_rate([]), by_format([])) == (None, None, {})


def test_every_format_has_its_parser_s_name():
    """Each format that an answer can be in has a name that people who serve models know."""
    from typing import get_args

    from flywheel.core.tool_calls import Format
    from flywheel.gate.metrics.tool_call import BARE

    assert set(TOOL_PARSERS) == {*get_args(Format), BARE}


@given(st.lists(st.builds(
    Score, value=st.sampled_from([0.0, 1.0]), format=st.sampled_from(["", "json", "x"]), unusable=st.booleans(),
    parts=st.dictionaries(st.sampled_from(["applies", "tests"]), st.floats(0, 1)),
)))  # fmt: skip
def test_shares_stay_shares(scores):
    """Whatever the scores are: between 0 and 1, formats add up to all, and none is made up without answers."""
    formats = by_format(scores)
    assert sum(one.answers for one in formats.values()) == len(scores)
    assert sum(one.share for one in formats.values()) == pytest.approx(float(bool(scores)))
    several = [part_share(scores, "applies"), passing_share(scores), error_rate(scores), format_share(scores, "x")]
    assert all(value is None or 0 <= value <= 1 for value in several)
    assert scores or several == [None] * 4
