"""Rows of the nine datasets in the shapes they are published in. Every word of them is made up."""

import json
from typing import Any

Row = dict[str, Any]

ADD = "def add(a, b):\n    return a + b\n"
TOTAL_BEFORE = "def total(rows):\n    return len(rows)\n\n\ndef mean(rows):\n    return total(rows) / 2\n"
TOTAL_AFTER = TOTAL_BEFORE.replace("len(rows)", "sum(rows)")
PATCH = """diff --git a/ledger/sums.py b/ledger/sums.py
--- a/ledger/sums.py
+++ b/ledger/sums.py
@@ -1,3 +1,3 @@
 def total(rows):
-    return len(rows)
+    return sum(rows)

diff --git a/ledger/wide.py b/ledger/wide.py
new file mode 100644
--- /dev/null
+++ b/ledger/wide.py
@@ -0,0 +1,2 @@
+from ledger.sums import total
+WIDE = total([1])
"""
TEST_PATCH = """diff --git a/tests/test_sums.py b/tests/test_sums.py
--- a/tests/test_sums.py
+++ b/tests/test_sums.py
@@ -1 +1,2 @@
 from ledger.sums import total
+assert total([2, 3]) == 5
"""
ISSUE = """Totals count rows

They should add them up. I see it here:

  File "/usr/lib/python3/site-packages/ledger/pages.py", line 7, in show
    total(page)
"""


def fenced(code: str, language: str = "python") -> str:
    """Return an answer that holds code in a block."""
    return f"It goes like this:\n\n```{language}\n{code}```\n\nThat is all.\n"


def judged(lowest: int) -> str:
    """Return a judgement as it is published: three marks, each with its reason, as JSON in a text."""
    names = ("requirement_conformance", "logical_correctness", "edge_case_consideration")
    return json.dumps(
        {name: {"score": mark, "justification": "so"} for name, mark in zip(names, (5, lowest, 5), strict=True)}
    )


def opencodeinstruct(**changes: Any) -> Row:
    """Return a row of OpenCodeInstruct: all columns are texts."""
    tests = ["\nassert add(1, 2) == 3", "\nassert add(-1, 1) == 0"]
    return {
        "id": "0a1b", "input": "Write `add`, which adds two numbers.", "output": fenced(ADD), "domain": "algorithmic",
        "generation_algorithm": "self-instruct", "llm_judgement": judged(4), "unit_tests": json.dumps(tests),
        "tests_execution_status": json.dumps(["pass", "pass"]), "average_test_score": "1.0", **changes,
    }  # fmt: skip


def commitpackft(**changes: Any) -> Row:
    """Return a row of CommitPackFT."""
    return {
        "commit": "12" * 20, "old_file": "ledger/sums.py", "new_file": "ledger/sums.py", "old_contents": TOTAL_BEFORE,
        "new_contents": TOTAL_AFTER, "subject": "Add the rows up", "message": "Add the rows up\n\nNot count them.\n",
        "lang": "Python", "license": "bsd-3-clause", "repos": "acme/ledger,fork/ledger", **changes,
    }  # fmt: skip


def codefeedback(**changes: Any) -> Row:
    """Return a row of CodeFeedback-Filtered-Instruction."""
    query = "Sum a vector in C++, without a loop."
    answer = fenced("#include <numeric>\nint sum(auto v) { return 0; }\n", "cpp")
    return {"query": query, "answer": answer, "resource": "evolinstruct", "lang": "cpp", **changes}


def oss_instruct(**changes: Any) -> Row:
    """Return a row of Magicoder's OSS-Instruct."""
    return {
        "lang": "python", "raw_index": 60123, "index": 7, "seed": "x = a + b", "openai_fingerprint": "fp_0",
        "problem": "Write a function that adds.", "solution": f"```python\n{ADD}```", **changes,
    }  # fmt: skip


def evol_instruct_code(**changes: Any) -> Row:
    """Return a row of Evol-Instruct-Code."""
    return {"instruction": "Add two numbers in Rust.", "output": fenced("fn add() {}\n", "rust"), **changes}


def opencoder_educational(**changes: Any) -> Row:
    """Return a row of OpenCoder's subset that brings tests."""
    return {
        "seq_id": 4021, "instruction": "Write a python function `add`.", "output": f"```python\n{ADD}```", "code": ADD,
        "entry_point": "add", "testcase": ["assert add(1, 1) == 2", "assert add(0, 0) == 0"], **changes,
    }  # fmt: skip


def opencoder_package(**changes: Any) -> Row:
    """Return a row of one of OpenCoder's three subsets without tests."""
    return {"seq_id": 5, "instruction": "Use `json` to read a file.", "output": fenced("import json\n"), **changes}


def listed(name: str, text: str, width: int = 0) -> str:
    """Return a file as prompts show it: its lines with numbers, between its beginning and its end."""
    lines = [f"{number:{width}d} {line}" for number, line in enumerate(text.split("\n"), 1)] if text else []
    return "\n".join([f"[start of {name}]", *lines, f"[end of {name}]"])


def d3_prompt(program: str, order: str = "Add a function that doubles.") -> str:
    """Return a prompt as D3 writes it."""
    return f"<code>\n{listed('q7.py', program, 3)}\n</code>\n\n<issue>\n{order}\n</issue>\n\n<code>"


D3_DIFFS = (
    "@@ -2,0 +3,3 @@\n+\n+def double(a):\n+    return add(a, a)",
    "@@ -0,0 +1,2 @@\n+import math\n+\n@@ -5,0 +8,2 @@\n+\n+print(double(math.pi))",
)


def d3(**changes: Any) -> Row:
    """Return a row of D3: the completion repeats the prompt and goes on with diffs."""
    prompt = d3_prompt(ADD.strip())
    completion = prompt + "".join(f"\n<|diff|>{diff}" for diff in D3_DIFFS) + "\n<|diff|>\n</code>"
    metadata = {"lang": "Python", "ext": "py", "max_stars_repo_name": "acme/doubles", "size": 31,
                "max_stars_repo_licenses": ["Apache-2.0"]}  # fmt: skip
    return {"prompt": prompt, "completion": completion, "program_start": ADD.strip(), "lines_changed": 7,
            "source_program_id": 314, "metadata": metadata, "source": "stack", **changes}  # fmt: skip


def swe_bench(**changes: Any) -> Row:
    """Return a row of SWE-bench; Lite's and Verified's have the same columns."""
    return {
        "repo": "acme/ledger", "instance_id": "acme__ledger-12", "base_commit": "ab" * 20, "patch": PATCH,
        "test_patch": TEST_PATCH, "problem_statement": ISSUE, "hints_text": "", "created_at": "2021-04-05T10:11:12Z",
        "version": "3.1", "FAIL_TO_PASS": '["tests/test_sums.py::test_total"]', "PASS_TO_PASS": "[]",
        "environment_setup_commit": "cd" * 20, **changes,
    }  # fmt: skip


def swe_bench_text(**changes: Any) -> Row:
    """Return a row of SWE-bench's kin that show files: oracle, BM25."""
    shown = "\n".join([
        listed("README.md", "# Ledger\n"), listed("ledger/sums.py", TOTAL_BEFORE),
        listed("ledger/pages.py", "from ledger.sums import total\n\n\ndef show(page):\n    return total(page)\n"),
    ])  # fmt: skip
    text = f"Resolve the issue.\n<issue>\n{ISSUE}\n</issue>\n<code>\n{shown}\n</code>\nAnswer with a patch:\n"
    return swe_bench(text=text, **changes)


SRI_FILE = "from ledger import total\n\n\ndef show(page):\n    /* MIDDLE CODE TO COMPLETE */\n    return found\n"
SRI_ANSWER = """```
/src/pages.py
<<<<<<< SEARCH
def show(page):
    /* MIDDLE CODE TO COMPLETE */
=======
def show(page):
    found = total(page)
>>>>>>> REPLACE
```"""
SRI_REPO = f"<|repo_name|>ledger\n<|file_sep|>/src/ledger.py\n{ADD}\n<|file_sep|>/src/pages.py\n{SRI_FILE}"


def sri_tuning(**changes: Any) -> Row:
    """Return a row of SRI Tuning as a conversation."""
    turns = [{"role": "system", "content": "You complete code. Answer with\n<<<<<<< SEARCH\n…"},
             {"role": "user", "content": SRI_REPO}, {"role": "assistant", "content": SRI_ANSWER}]  # fmt: skip
    return {"messages": turns, **changes}


#: One good row of each shape, with its dataset's name.
GOOD: dict[str, tuple[str, Row]] = {
    "opencodeinstruct": ("opencodeinstruct", opencodeinstruct()),
    "commitpackft": ("commitpackft", commitpackft()),
    "codefeedback": ("codefeedback", codefeedback()),
    "oss-instruct": ("oss-instruct", oss_instruct()),
    "evol-instruct-code": ("evol-instruct-code", evol_instruct_code()),
    "opencoder educational": ("opencoder-stage2", opencoder_educational()),
    "opencoder package": ("opencoder-stage2", opencoder_package()),
    "d3": ("d3", d3()),
    "swe-bench": ("swe-bench", swe_bench()),
    "swe-bench with text": ("swe-bench", swe_bench_text()),
    "sri-tuning": ("sri-tuning", sri_tuning()),
}

_TURN = {"role": "user", "content": SRI_REPO}
_OPEN = "Like this:\n```python\ndef add(a, b):\n"

#: Broken rows of each dataset, with the reason they are counted by.
BROKEN: dict[str, list[tuple[Row, str]]] = {
    "opencodeinstruct": [
        (opencodeinstruct(input=" "), "no input"),
        (opencodeinstruct(output=None), "no output"),
        (opencodeinstruct(output="Use a loop."), "no code in the answer"),
        (opencodeinstruct(output=_OPEN), "the answer breaks off in its code"),
        (opencodeinstruct(output=fenced("def add(:\n")), "its Python does not parse"),
        (opencodeinstruct(unit_tests="[]"), "no tests"),
        (opencodeinstruct(unit_tests="[1, 2]"), "tests cannot be read"),
        (opencodeinstruct(unit_tests='["assert add(1'), "tests cannot be read"),
        (opencodeinstruct(unit_tests='["add(1, 2)"]'), "as many results as tests are needed"),
        (opencodeinstruct(unit_tests='["add(1, 2)", "add(2, 2)"]'), "a test asserts nothing"),
        (opencodeinstruct(unit_tests='["assert add(1", "assert 1"]'), "a test is no Python"),
        (opencodeinstruct(average_test_score="0.9"), "a test failed where it was published"),
        (opencodeinstruct(average_test_score="many"), "a test score is no number"),
        (opencodeinstruct(tests_execution_status='["pass", "fail"]'), "a test failed where it was published"),
        (opencodeinstruct(tests_execution_status="pass"), "test results cannot be read"),
    ],
    "commitpackft": [
        (commitpackft(subject="", message=None), "no subject"),
        (commitpackft(subject="wip"), "message of fewer than three words"),
        (commitpackft(subject="Bump version to 1.2.3"), "version bump"),
        (commitpackft(new_contents=TOTAL_BEFORE), "nothing changes"),
        (commitpackft(old_contents="\n" * 3000), "the file is longer than is shown"),
        (commitpackft(new_contents=""), "a file that is emptied"),
        (commitpackft(old_contents=7), "no text of the file before and after"),
        (commitpackft(old_file="ledger/old.py"), "a change that edits cannot say"),
        (commitpackft(new_file="a\nb.py"), "a file's name that edits cannot hold"),
        (commitpackft(new_file="notes.yaml", old_file="notes.yaml"), "no Python, TypeScript or JavaScript"),
        (commitpackft(new_contents="x = 1\n" * 300), "200 lines or more"),
        (commitpackft(new_contents=f"{TOTAL_AFTER}# </edit>\n"), "a change that edits cannot say"),
    ],
    "codefeedback": [
        (codefeedback(query=None), "no query"),
        (codefeedback(answer="Yes."), "no code in the answer"),
        (codefeedback(lang="python", answer=fenced("def f(:\n")), "its Python does not parse"),
        (codefeedback(answer="x" * 100_001), "answer is too long"),
    ],
    "oss-instruct": [
        (oss_instruct(problem=""), "no problem"),
        (oss_instruct(solution=["a"]), "no solution"),
        (oss_instruct(solution=_OPEN), "the answer breaks off in its code"),
    ],
    "evol-instruct-code": [
        (evol_instruct_code(instruction=3), "no instruction"),
        (evol_instruct_code(output=""), "no output"),
        (evol_instruct_code(output="```rust\nfn add() {"), "the answer breaks off in its code"),
    ],
    "opencoder-stage2": [
        (opencoder_educational(testcase=[]), "no tests"),
        (opencoder_educational(testcase="assert add(1, 1) == 2 )"), "a test is no Python"),
        (opencoder_educational(entry_point="multiply"), "the answer does not define what is tested"),
        (opencoder_educational(output=None), "no output"),
        (opencoder_package(output="Read the manual."), "no code in the answer"),
    ],
    "d3": [
        (d3(prompt=None), "no prompt"),
        (d3(prompt=d3_prompt(ADD, " ")), "nothing is asked"),
        (d3(prompt="<issue>\nAdd it.\n</issue>"), "no files in the prompt"),
        (d3(prompt=d3_prompt(ADD).replace("[end of q7.py]", "")), "a file in the prompt has no end"),
        (d3(completion=d3_prompt(ADD.strip())), "no diffs"),
        (d3(completion="<|diff|>@@ -1,9 +1 @@\n-x"), "a diff does not fit its file"),
        (d3(completion="<|diff|>and then"), "a diff cannot be read"),
        (d3(program_start=f"{ADD}" + "x = 1\n" * 3000), "the file is longer than is shown"),
        (d3(completion="<|diff|>@@ -7 +7 @@\n-gone\n+come"), "a diff does not fit its file"),
        (d3(completion="<|diff|>@@ -2,0 +3 @@\n+def double(:"), "its Python does not parse"),
    ],
    "swe-bench": [
        (swe_bench(problem_statement=None), "no problem_statement"),
        (swe_bench(problem_statement="word " * 2000), "problem_statement is too long"),
        (swe_bench(problem_statement="#!?"), "no title"),
        (swe_bench(repo="ledger"), "no repo"),
        (swe_bench(patch="nothing to see"), "no patch"),
        (swe_bench(patch=PATCH.replace("+++ b/ledger/sums.py", "+++ /dev/null")), "a patch that edits cannot say"),
        (swe_bench(FAIL_TO_PASS="[1"), "tests cannot be read"),
    ],
    "sri-tuning": [
        (sri_tuning(messages="hello"), "turns that cannot be read"),
        (sri_tuning(messages=[_TURN]), "no question with its answer"),
        ({"prompt": SRI_REPO}, "no response"),
        ({"prompt": SRI_REPO, "response": "total(page)"}, "not one search with its replacement"),
        ({"prompt": SRI_REPO, "response": SRI_ANSWER.replace("/* MIDDLE CODE TO COMPLETE */", "x")},
         "the search does not hold the mark, or the replacement does"),
        ({"prompt": ADD, "response": SRI_ANSWER}, "no file with the mark in the question"),
        ({"prompt": SRI_REPO, "response": SRI_ANSWER.replace("SEARCH\ndef show", "SEARCH\ndef hide")},
         "a change that edits cannot say"),
        ({"prompt": SRI_REPO, "response": SRI_ANSWER.replace("found = total(page)", "found = total(")},
         "its Python does not parse"),
    ],
}  # fmt: skip
