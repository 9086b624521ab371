"""docs/metrics.md lists exactly the metrics there are."""

import documents as d

from flywheel.core.metrics import METRICS


def test_every_metric_has_its_row():
    """Each metric stands once, with its type, its labels and what it means; nothing else does."""
    rows = [cells for cells in d.rows(d.text("docs/metrics.md")) if len(cells) == 4 and cells[0].startswith("`")]
    told = {cells[0].strip("`"): cells[1:] for cells in rows}
    assert len(told) == len(rows)
    assert told == {
        name: [spec.type, ", ".join(f"`{label}`" for label in spec.labels) or "none", spec.meaning]
        for name, spec in METRICS.items()
    }
