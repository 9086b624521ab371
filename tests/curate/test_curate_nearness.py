"""Sketches: what counts as the same, how good the estimate is, and that stored sketches stay comparable."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.curate.nearness import BANDS, KEPT, SCHEME, bands, hashes_of, question_text, similarity, sketch

words = st.text("abcdefgh0123456789+-", min_size=1, max_size=6)
texts = st.lists(words, max_size=60)
WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=3 + n % 7)) for n in range(3_000)]


def alike(one, other, *, fold=True):
    return similarity(sketch(one, fold=fold), sketch(other, fold=fold))


def truth(one, other):
    """Return the share of word triples in common, counted without a sketch."""
    first, second = ({tuple(words[n : n + 3]) for n in range(len(words) - 2)} for words in (one, other))
    lengths = min(len(one), len(other)) / max(len(one), len(other))
    return min(lengths, len(first & second) / len(first | second))


@given(texts, st.sampled_from([" ", "\n", "\t  "]))
def test_white_space_and_case_do_not_count_in_a_question(parts, space):
    """The same words, set differently, are the same question, found under the same bands."""
    one, other = sketch(" ".join(parts), fold=True), sketch(space.join(parts).upper() + space, fold=True)
    assert one == other
    assert similarity(one, other) == 1.0
    assert bands(one) == bands(other)
    assert len(bands(one)) == BANDS


@given(texts.filter(lambda parts: len(parts) > 2), texts.filter(lambda parts: len(parts) > 2))
def test_small_texts_are_compared_exactly(one, other):
    """While a text has few triples the estimate is the truth, the same from both sides."""
    told = alike(" ".join(one), " ".join(other))
    assert told == pytest.approx(truth(one, other))
    assert told == alike(" ".join(other), " ".join(one))


@pytest.mark.parametrize("length", [200, 1_000, 5_000])
def test_large_texts_are_estimated_within_a_few_points(length):
    """Over many pairs the estimate is right on average, and never far off."""
    draw = random.Random(length)
    off = []
    for _ in range(40):
        one = draw.choices(WORDS, k=length)
        other = [draw.choice(WORDS) if draw.random() < 0.03 else word for word in one]
        off.append(alike(" ".join(one), " ".join(other)) - truth(one, other))
    assert abs(sum(off) / len(off)) < 0.02
    assert max(map(abs, off)) < 0.15


@pytest.mark.parametrize(("changes", "least"), [(0, 1.0), (1, 0.99), (2, 0.9)])
def test_nearly_equal_texts_share_a_band(changes, least):
    """What differs in a word or two of a hundred is found; what has nothing in common hardly ever is."""
    draw = random.Random(changes)
    found = chance = 0
    for _ in range(150):
        one = draw.choices(WORDS, k=120)
        other = list(one)
        for place in draw.sample(range(120), changes):
            other[place] = draw.choice(WORDS)
        own = set(bands(sketch(" ".join(one), fold=True)))
        found += bool(own & set(bands(sketch(" ".join(other), fold=True))))
        chance += bool(own & set(bands(sketch(" ".join(draw.choices(WORDS, k=120)), fold=True))))
    assert found >= least * 150
    assert chance == 0


def test_values_make_a_difference():
    """Numbers, signs and names count; short texts are the same to the letter or not at all."""
    assert alike("Run tests/api/test_a.py until 2 fail", "Run tests/api/test_a.py until 3 fail") < 0.85
    assert alike("what is 3+4", "what is 3-4") < 0.85
    assert alike("yes", "Yes") == 1.0
    assert alike("yes", "Yes", fold=False) == 0.0
    assert alike("()", "[]") == 0.0
    assert alike("", " \n") == 1.0
    assert alike("0 0 0 0 0 0", "0 0 0") == 0.5, "a repetition more is a difference"
    call = '<tool_call>{{"name": "read_file", "arguments": {{"path": "{}"}}}}</tool_call>'
    assert alike(call.format("src/a.py"), call.format("src/b.py"), fold=False) < 0.85


def test_long_answers_with_one_other_word_are_nearly_the_same():
    """A hundred lines of code with one other name are nearly the same; with every second line another they are not."""
    code = "\n".join(f"    total_{n} = add(total_{n - 1}, values[{n}])" for n in range(100))
    lines = [line.replace("add", "mul") if n % 2 else line for n, line in enumerate(code.splitlines())]
    assert alike(code, code.replace("add(total_50", "mul(total_50"), fold=False) > 0.95
    assert alike(code, "\n".join(lines), fold=False) < 0.8


def test_scripts_without_spaces_are_compared_by_character():
    """Text in a script that writes no spaces is not one word; accents and full-width letters are brought together."""
    text = "この関数は設定ファイルを読み込み、各行を検証してから辞書に変換します。" * 2
    assert 0.85 < alike(text, text.replace("各行を", "全行を", 1)) < 1.0
    assert alike(text, "まったく別の文章です。天気の話をしましょう。今日はとても良い天気ですね。") < 0.1
    assert alike("re\u0301sume\u0301 du travail fait", "résumé du travail fait") == 1.0
    assert alike("half \udc80 a character", "half \udc80 a character") == 1.0


def test_what_the_system_says_is_not_the_question():
    """A system prompt is every task's: questions are compared by the rest, where there is any."""
    assert question_text([("system", "be careful"), ("user", "a"), ("tool", "b")]) == "a\nb"
    assert question_text([("system", "be careful")]) == "be careful"


def test_stored_sketches_stay_comparable():
    """The scheme never changes: these very numbers may lie in a store. Who changes them names a new scheme."""
    assert SCHEME == "triples/1"
    found = sketch("Show the config of api/account.py, please", fold=True)
    assert found.words == 8
    assert hashes_of(found) == (304000272, 311499933, 314300669, 473877640, 670269378, 763285445)
    assert bands(found) == (2007753185, 2928363883, 2168303166, 4164775993, 2118800139, 2545312544)
    assert len(hashes_of(sketch(" ".join(WORDS), fold=True))) == KEPT
