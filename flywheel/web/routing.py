"""Every page of the dashboard: each module adds its own addresses."""

from aiohttp import web

from flywheel.web import (
    action_pages,
    assets,
    data_pages,
    datum_pages,
    decision_pages,
    journal_pages,
    line_pages,
    lives,
    metrics,
    policy_pages,
    readiness,
    report_pages,
    run_pages,
    sign_ins,
    story_pages,
)

#: Modules with `add_to(router)`. A new page is a new module and one line here.
MODULES = (
    assets,
    lives,
    sign_ins,
    line_pages,
    story_pages,
    run_pages,
    report_pages,
    journal_pages,
    metrics,
    readiness,
    decision_pages,
    data_pages,
    datum_pages,
    policy_pages,
    action_pages,
)


def add_routes(router: web.UrlDispatcher) -> None:
    """Add what every module answers."""
    for module in MODULES:
        module.add_to(router)
