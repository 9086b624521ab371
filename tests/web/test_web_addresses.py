"""Whatever a browser asks for, the answer is a page: never a failure, never a place that is not ours."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web_house import LINE, browser

ADDRESSES = (
    "lines/{}", "runs/{}", "runs?line={}", "runs?before={}", "reports/{}", "reports/{}/page", "reports?line={}",
    "reports?before={}", "journal/{}", "static/{}", "sign-in?next={}", "explain/{}", "decisions?line={}",
    "decisions?before={}", "examples/{}", "examples?dataset={}", "outcomes/{}", "outcomes?label={}",
    "quarantine?rule={}",
    "policies/{}", "policies/lines/{}", "actions/{}", "ask/pause/{}", "ask/{}/x", "requests/{}", "{}",
)  # fmt: skip
ODD = ("", " ", "..", "../..", "%00", "\x00", "%ff", "'; DROP TABLE ledger; --", "a/b", "<script>", "\u202e", "9" * 17,
       "9" * 30, "-1", "0x1", LINE, f"{LINE}@1", "//evil.example", "\ud7ff", "\U0010ffff")  # fmt: skip
names = st.sampled_from(ODD) | st.text(max_size=12)


@pytest.mark.asyncio
async def test_odd_names_get_a_page(world):
    """Names that are none, numbers that are too large, and ways out of a folder end as found, not found, or refused."""
    async with browser(world) as client:
        for name in ODD:
            for address in ADDRESSES:
                async with client.get("/" + address.format(quote(name, safe="")), allow_redirects=False) as answer:
                    assert answer.status in {200, 303, 400, 404}, (address, name, answer.status)
                    assert "Content-Security-Policy" in answer.headers or answer.status == 400


@pytest.mark.asyncio
async def test_any_text_in_any_place_gets_a_page(world):
    """Drawn at random: no text makes a page fail, and no page shows it as anything but text."""
    drawn: list[tuple[str, str]] = []

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(ADDRESSES), names)
    def draw(address, name):
        drawn.append((address, name))

    draw()
    async with browser(world) as client:
        for address, name in drawn:
            encoded = quote(name.encode("utf-8", "surrogatepass"), safe="")
            async with client.get("/" + address.format(encoded), allow_redirects=False) as answer:
                assert answer.status in {200, 303, 400, 404}, (address, name, answer.status)
                assert "<script>" not in await answer.text()
