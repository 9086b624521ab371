"""Competitive problems: one domain each, by tags first, then by whole words, else python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.domains import PRECEDENCE, TAGS, WORDS, domain_of

tags = st.lists(st.sampled_from(sorted(set().union(*TAGS.values()))), max_size=6)
words = st.lists(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12), max_size=20)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Improve the approved street map", "python"),
        ("Prove that n is prime", "math"),
        ("Walk the binary tree", "data_structures"),
        ("A Tree-like thing", "data_structures"),
        ("Find the shortest path in a graph", "algorithms"),
        ("Print the sum of the numbers", "python"),
        ("", "python"),
    ],
)
def test_only_whole_words_of_the_text_count(text, domain):
    """A word inside another one says nothing; whatever nothing speaks for is python."""
    assert domain_of([], text) == domain


@pytest.mark.parametrize(
    ("given_tags", "domain"),
    [
        (["number_theory"], "math"),
        (["DP", "implementation"], "algorithms"),
        (["Hash Table", "Array", "String"], "data_structures"),
        (["implementation"], "python"),
        (["*1500"], "math"),
    ],
)
def test_tags_come_before_words(given_tags, domain):
    """A known tag decides, also that a problem is plain python; unknown tags leave it to the words."""
    assert domain_of(given_tags, "prove that it is prime") == domain


@given(tags, st.randoms(use_true_random=False), st.text(max_size=200))
def test_the_order_of_tags_does_not_matter(names, chance, text):
    """The same tags in any order and any case give the same one domain of the four."""
    mixed = [name.upper() for name in names]
    chance.shuffle(mixed)
    assert domain_of(names, text) == domain_of(mixed, text) in PRECEDENCE


@given(tags.filter(bool), words)
def test_words_never_overrule_a_tag(names, text):
    """With a known tag the text changes nothing."""
    assert domain_of(names, " ".join(text)) == domain_of(names, "")


@given(st.sampled_from([(domain, word) for domain in PRECEDENCE for word in WORDS[domain]]), st.sampled_from("ab_1"))
def test_a_word_inside_a_longer_one_says_nothing(known, letter):
    """Each keyword speaks for its domain alone, and not when letters are grown on to both ends."""
    domain, word = known
    assert domain_of([], f"x ({word}), y") == domain
    if " " not in word and letter != "_":
        assert domain_of([], f"{letter}{word}{letter}") == "python"
