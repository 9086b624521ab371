"""Which revision a store's schema has, told without the tool that changes it: looking must not take that long."""

import re
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

_VERSIONS = Path(__file__).parent / "migrations" / "versions"
_REVISION = re.compile(r"^revision = ['\"](\w+)['\"]$", re.MULTILINE)
_BEFORE = re.compile(r"^down_revision = ['\"](\w+)['\"]$", re.MULTILINE)


def is_current(engine: Engine) -> bool:
    """Tell whether a store's schema is the newest; what cannot be asked is not."""
    with engine.connect() as connection:
        try:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
        except DatabaseError:
            return False
    return list(found) == [head()]


@cache
def head() -> str | None:
    """Return the newest revision; None where the files do not say it plainly."""
    texts = [path.read_text(encoding="utf-8") for path in _VERSIONS.glob("*.py")]
    all_ = {found for told in texts for found in _REVISION.findall(told)}
    before = {found for told in texts for found in _BEFORE.findall(told)}
    newest = all_ - before
    return newest.pop() if len(newest) == 1 and len(all_) == len(texts) else None
