import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.code_blocks import code_in, defines, fenced
from flywheel.core.thoughts import after_thoughts

ADD = "def add(a, b):\n    return a + b\n"
MAIN = "n = int(input())\nprint(n)\n"


@pytest.mark.parametrize(("answer", "code"), [
    (f"```python\n{ADD}```", ADD),
    (f"Here it is:\n\n```py\n{ADD}```\nIt adds.", ADD),
    (f"```\n{ADD}```", ADD),
    (f"~~~python\n{ADD}~~~", ADD),
    (f"````python\n{ADD}````", ADD),
    (f'```python title="add.py"\n{ADD}```', ADD),
    (f"The answer: ```python\n{ADD}```", ADD),
    (f"```python\n{ADD.rstrip()}```", ADD),
    (f"```python\r\n{ADD}```\r\n", ADD),
    (f"```python\n{ADD}", ADD),
    (ADD, ADD),
    (f"Sure, this adds:\n\n{ADD}\nIt is short.", ADD),
    (f"import math\n\n\n{ADD}", f"import math\n\n\n{ADD}"),
    (f"```python\ndef add(a, b):\n    return 0\n```\nBetter:\n```python\n{ADD}```", ADD),
    (f"```python\n{ADD}```\nUse it so:\n```python\nprint(add(1, 2))\n```", ADD),
    (f"```python\n{ADD}```\n```\n3\n```", ADD),
    (f"<think>```python\ndef add(a, b):\n    return 1\n```</think>\n```python\n{ADD}```", ADD),
    (f"```python\ndef add(a, b):\n    return 1\n```</think>\n{ADD}", ADD),
    ("1. Write it:\n\n   ```python\n   def add(a, b):\n       return a + b\n   ```", ADD),
    ("```python\nadd = lambda a, b: a + b\n```", "add = lambda a, b: a + b\n"),
    ("```python\nclass Solution:\n    def add(self, a, b):\n        return a + b\n```",
     "class Solution:\n    def add(self, a, b):\n        return a + b\n"),
    ("<think>I never stop", None),
    (f"<think>\n```python\n{ADD}```", None),
    ("I would define a function.", None),
    ("```python\ndef plus(a, b):\n    return a + b\n```", None),
    ("```python\nprint(add(1, 2))\n```", None),
    ("", None),
])  # fmt: skip
def test_the_function_is_found_where_models_put_it(answer, code):
    """Fenced or bare, behind thoughts, before usage and output: the last block that defines the entry is the code."""
    assert code_in(answer.replace("\r", ""), "python", "add") == code


@pytest.mark.parametrize(("answer", "code"), [
    (f"```python\n{MAIN}```", MAIN),
    (f"```python\n{MAIN}```\nFor 3 it prints:\n```\n3\n```", MAIN),
    (f"```text\n3\n```\n```\n{MAIN}```\n```\n3\n```", MAIN),
    (f"```bash\npip install nothing\n```\n```python\n{MAIN}```", MAIN),
    (f"The program reads a number.\n\n{MAIN}\nThat is all.", MAIN),
    ('x = """\nprose stays\n"""\nprint(x)', 'x = """\nprose stays\n"""\nprint(x)\n'),
    ("for i in range(3):\n    print(i)", "for i in range(3):\n    print(i)\n"),
    ("For each number we print it.", None),
    ("From the list, import nothing.", None),
])  # fmt: skip
def test_a_program_is_found_where_models_put_it(answer, code):
    """Without an entry the last block in the language counts; a block of output is none."""
    assert code_in(answer) == code


def test_other_languages_are_found_by_their_own_words():
    """TypeScript defines in its own ways."""
    for code in ("function add(a: number) { return a }", "export const add = (a) => a", "class add {}"):
        assert code_in(f"```ts\n{code}\n```", "typescript", "add") == f"{code}\n"
    assert code_in("```ts\nlet sum = add(1)\n```", "typescript", "add") is None


def test_a_name_that_only_begins_alike_is_not_defined():
    """Names are compared whole, and the entry of a method is its last part."""
    assert not defines("def add_all(x):\n    pass", "add")
    assert not defines("add == 3", "add")
    assert defines("class Solution:\n    def add(self): ...", "Solution.add")


@settings(deadline=None)
@given(st.text(), st.sampled_from(["python", "typescript", "javascript"]), st.sampled_from(["", "add", "a.b", "é("]))
def test_looking_for_code_never_raises(text, language, entry):
    """Whatever a model wrote, there is code in it or there is none."""
    found = code_in(text, language, entry)
    assert found is None or isinstance(found, str)


NO_FENCE = st.text(alphabet=st.characters(blacklist_characters="`~\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), min_size=1)


@settings(deadline=None)
@given(st.lists(NO_FENCE.filter(str.strip), min_size=1, max_size=4))
def test_every_fenced_block_is_found_in_order(codes):
    """As many blocks come out as were written, each with its words."""
    answer = "\nand\n".join(f"```python\n{code}\n```" for code in codes)
    assert ["".join(block.code.split()) for block in fenced(answer)] == ["".join(code.split()) for code in codes]


@pytest.mark.parametrize(("text", "said"), [
    ("<think>a</think>b", "b"), ("a</think>b", "b"), ("<think>a", ""), ("b", "b"), ("<THINKING>x</Thinking>\nb", "b"),
    ("<think>a</think><think>c</think>b", "b"), ("<think>a</think><think>c", ""), ("I <think> so", "I <think> so"),
])  # fmt: skip
def test_thoughts_are_no_answer(text, said):
    """What stands in thoughts is left out; an end without a beginning ends one, too."""
    assert after_thoughts(text) == said
