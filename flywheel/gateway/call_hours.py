"""How many calls the gateway captured in each hour: what idle hours are learned from."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

_HOUR = 13  # 2026-01-31T17
_COUNT = "SELECT substr(at, 1, ?), count(*) FROM calls WHERE at >= ? GROUP BY 1"  # by the index on `at` alone


def calls_by_hour(capture: Path, since: datetime) -> dict[datetime, int]:
    """Return the calls since a moment by the hour (UTC) they came in; nothing when there is no capture to read."""
    if not capture.is_file():
        return {}
    begin = since.astimezone(UTC).isoformat(timespec="microseconds")
    try:
        with closing(sqlite3.connect(f"file:{capture}?mode=ro", uri=True, timeout=1.0)) as connection:
            rows = connection.execute(_COUNT, (_HOUR, begin)).fetchall()
    except sqlite3.Error:
        return {}  # locked or not made yet: it is asked again
    return {datetime.fromisoformat(f"{hour}:00:00+00:00"): int(count) for hour, count in rows}
