"""What a dataset says of what was mined, and of what stands under no known licence."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.examples import PoolExample
from flywheel.core.lines import DatasetPlan
from flywheel.core.provenances import Provenance, provenance_of
from flywheel.curate.caps import capped, caps_of
from flywheel.curate.provenances import provenance_facts

FOREIGN = {"recipe": "mine", "foreign": True, "repo": "org/pkg", "commit": "c", "licence": "MIT",
           "domain": "text", "organisation": "org", "lines": 4000}  # fmt: skip


def example(number, made=None):
    return PoolExample(
        seq=number, id=f"e{number}", task="t", session="s", group="g", category="c", prompt_key=f"q{number}",
        at=datetime(2026, 1, 1, tzinfo=UTC), origin="synthetic", foreign=bool(made and made.mined), made=made,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "made"),
    [
        ({}, None),
        ({"licence": "unknown"}, None),
        ({"recipe": "mine", "licence": "unknown"}, None),
        ({"recipe": "teach", "licence": "unknown"}, None),
        ({"recipe": "import", "licence": "MIT"}, None),
        ({"recipe": "import", "licence": "unknown"}, Provenance(private=True)),
        ({"recipe": "teach", "foreign": True, "licence": "unknown"}, Provenance(private=True)),
        (FOREIGN, Provenance(mined=True, domain="text", organisation="org", lines=4000)),
        (FOREIGN | {"licence": "unknown"}, Provenance(mined=True, domain="text", organisation="org", lines=4000,
                                                      private=True)),
        ({"recipe": "mine", "foreign": True, "licence": "MIT"}, Provenance(mined=True)),
    ],
)  # fmt: skip
def test_only_others_work_is_asked_about(extra, made):
    """Logged work, one's own repos and a teacher's answers about them are free of it; others' are not."""
    assert provenance_of(extra) == made


def test_nothing_mined_has_no_domains():
    """Then there is a share of nothing and no more to say: the guardrails about it do not apply."""
    assert provenance_facts([example(1), example(2)]) == {"mined_share": 0.0, "private_examples": 0}
    assert provenance_facts([]) == {"mined_share": 0.0, "private_examples": 0}


def test_what_is_not_known_counts_for_none_and_may_be_the_largest():
    """Two repos that say nothing of themselves may be about the same: they are one domain, and no owner."""
    unsaid = [Provenance(mined=True, private=True), Provenance(mined=True)]
    told = Provenance(mined=True, domain="text", organisation="org", lines=1200)
    made = [example(number, one) for number, one in enumerate([*unsaid, told, None])]
    assert provenance_facts(made) == {
        "mined_share": 0.75, "private_examples": 1, "mined_domains": 1, "mined_organisations": 1,
        "largest_mined_domain_share": 0.5, "fewest_mined_lines": 1200, "most_mined_lines": 1200,
    }  # fmt: skip


mined = st.builds(Provenance, mined=st.just(True), domain=st.sampled_from(["", "text", "data", "media", "science"]))


@given(st.lists(st.none() | mined, max_size=80), st.sampled_from([0.1, 0.2, 0.5, 1.0]))
def test_a_cap_on_domains_is_kept(mades, share):
    """With `mined_domain_cap` no domain of mined repos has more than its share; what was not mined is not held back."""
    pool = [example(number, made) for number, made in enumerate(mades)]
    plan = DatasetPlan(session_cap=1, foreign_repo_cap=1, mined_domain_cap=share)
    kept = capped(pool, frozenset(), caps_of(plan), len(pool)).kept
    domains = Counter(one.made.domain for one in kept if one.made)
    assert all(count <= int(share * len(pool)) for count in domains.values())
    assert [one for one in kept if not one.made] == [one for one in pool if not one.made]


@pytest.mark.asyncio
async def test_a_dataset_knows_what_it_was_made_of(desk):
    """From the outcome through the pool into manifest and event: shares, domains, owners, and what is private."""
    desk.plan(foreign_repo_cap=1.0, repo_cap=1.0)
    domains = ("text", "data", "media")
    for number in range(30):
        licence = "unknown" if number == 3 else "MIT"
        extra = FOREIGN | {"domain": domains[number % 3], "organisation": f"o{number % 5}", "licence": licence}
        desk.bring(desk.outcome(number, **({"extra": extra, "origin": "synthetic"} if number < 15 else {})))
    await desk.settle()
    told = desk.events("curate.dataset_frozen")[0].body
    assert {name: told[name] for name in ("mined_share", "mined_domains", "mined_organisations")} == {
        "mined_share": 0.5, "mined_domains": 3, "mined_organisations": 5,
    }  # fmt: skip
    assert told["largest_mined_domain_share"] == pytest.approx(5 / 30, abs=1e-4)
    assert (told["private_examples"], desk.last().private) == (1, 1)
