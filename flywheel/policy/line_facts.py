"""The facts that a line's own file sets: what a guardrail asks of a line rather than of the world. Pure."""

from flywheel.core.facts import Facts
from flywheel.core.lines import Line


def facts_of_line(line: Line) -> Facts:
    """Return what the line says of itself, by the names that guardrails ask for it."""
    # Where a line that climbs stands is a matter of the day, not of its file.
    stands = {} if line.highest_rung > line.rung else {"line.rung": line.rung}
    return {
        **stands,
        "line.is_planning": line.planning,
        "line.minimum_examples": line.least_examples,
        "line.minimum_judgements": line.dataset.minimum_judgements,
        "line.minimum_pairs": line.dataset.minimum_pairs,
        "line.technique": line.train.technique,
        "line.runs_per_day": line.train.runs_per_day,
        "line.spare_disk_gib": max(line.train.spare_disk_gib, line.train.most_disk_gib or 0.0),
    }
