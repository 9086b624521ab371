"""The tutorials say what the shipped policies say."""

import re

import documents as d

from flywheel.daemon.places import shipped
from flywheel.policy.loading import load_policies


def test_the_numbers_of_a_first_dataset_are_those_of_the_lines():
    """Every line of a language, with the examples that it needs."""
    lines = load_policies(shipped("policies")).lines
    wanted = {name: line.dataset.minimum_examples for name, line in lines.items() if name.startswith("build-")}
    told = {
        cells[0].strip("`"): int(cells[1])
        for cells in d.rows(d.text("docs/tutorials/opencode.md"))
        if re.fullmatch(r"`build-\w+`", cells[0])
    }
    assert told == wanted
    assert f"{lines['tool-calling'].dataset.minimum_examples} examples for" in d.text("docs/tutorials/any-agent.md")
