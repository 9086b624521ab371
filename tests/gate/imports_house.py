"""Rows as others write them: what importing is tried on."""

import base64
import json
import pickle
import zlib


def packed(value, protocol=4):
    """A text as LiveCodeBench packs its private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


def livecodebench(number=1, **changes):
    """A stdin problem with a public and a packed private test."""
    public = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
    private = [{"input": f"{number} 5\n", "output": f"{number + 5}\n", "testtype": "stdin"}]
    return {
        "question_title": f"Sum {number}",
        "question_content": f"Add the two numbers of case {number} and print the sum.",
        "platform": "atcoder", "question_id": f"abc{number}_a", "contest_id": f"abc{number // 2}",
        "contest_date": "2024-03-02T00:00:00", "starter_code": "", "difficulty": "easy", "metadata": "{}",
        "public_test_cases": json.dumps(public), "private_test_cases": packed(json.dumps(private)),
    } | changes  # fmt: skip


def functional(**changes):
    """A problem whose method is called."""
    cases = [{"input": "[1, 2]\n3", "output": "true", "testtype": "functional"}]
    starter = "class Solution:\n    def holds(self, a: List[int], b: int) -> bool:\n        "
    return livecodebench(
        7, platform="leetcode", starter_code=starter,
        metadata=json.dumps({"func_name": "holds"}), public_test_cases=json.dumps(cases), private_test_cases="[]",
    ) | changes  # fmt: skip


def apps(number=1, **changes):
    """A stdin problem of APPS."""
    tests = {"inputs": ["2\n3\n", ["4", "5"]], "outputs": ["5\n", "9"]}
    return {
        "problem_id": number, "question": f"Read two numbers of task {number} and print what they come to together.",
        "input_output": json.dumps(tests), "difficulty": "interview", "starter_code": "",
        "url": f"https://codeforces.com/problemset/problem/{1000 + number}/A", "solutions": "[]",
    } | changes  # fmt: skip


def humaneval(number=0, **changes):
    """A function of HumanEval with asserts of every sort."""
    test = """
METADATA = {'author': 'x'}


def check(candidate):
    assert candidate([1.0, 2.0], 0.3) == True
    assert candidate([], k=1) == (1, 2), "a message"
    assert 5 == candidate("a")
    assert candidate(0) is None
    assert True, "This prints if this assert fails 1 (good for debugging!)"
    assert abs(candidate(3) - 1.5) < 1e-6
    assert candidate(4)
    assert candidate((1, 2)) == 3
    assert candidate({1, 2}) == 3
    assert candidate(n) == 3
    for i in range(3):
        assert candidate(i) == i
"""
    return {
        "task_id": f"HumanEval/{number}", "entry_point": "close", "test": test, "canonical_solution": "    pass\n",
        "prompt": f'def close(a, k=0):\n    """Tell whether any two of a are nearer than k; case {number}."""\n',
    } | changes  # fmt: skip


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
