"""Streams the rows of a Parquet file as JSON lines: some of its columns, in order, a few rows in memory at a time.

Usage: parquet_rows.py FILE FIRST COLUMN…; FIRST is the row to begin with. The first line says how many rows there are.
"""

import base64
import datetime as dt
import decimal
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 64  # a row of a contest with all its solutions is megabytes


def main(arguments: list[str]) -> int:
    """Write the rows; 2 where the file is none, told in one line."""
    path, first, *columns = arguments
    try:
        # Without a memory map and ahead-of-time reading: what is read is what is held.
        with pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1 << 20) as file:
            _write(file, int(first), columns)
    except BrokenPipeError:
        sys.stderr.close()  # whoever reads has had enough
        return 0
    except (pa.ArrowException, OSError) as error:
        print(str(error).splitlines()[0][:300] if str(error) else type(error).__name__, file=sys.stderr)
        return 2
    return 0


def _write(file: Any, first: int, columns: list[str]) -> None:
    # A nested column is asked for by its own name, which takes all that is below it.
    wanted = [name for name in file.schema_arrow.names if name in columns]
    out = sys.stdout.buffer
    out.write(b'{"rows": %d}\n' % file.metadata.num_rows)
    for row in _rows(file, first, wanted):
        out.write(json.dumps(_plain(row), ensure_ascii=True, allow_nan=False).encode() + b"\n")
    out.flush()


def _rows(file: Any, first: int, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows from one on; groups of rows before it are not unpacked."""
    for group in range(file.metadata.num_row_groups):
        held = file.metadata.row_group(group).num_rows
        if first >= held:
            first -= held
            continue
        for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=wanted, use_threads=False):
            fresh = batch.slice(min(first, batch.num_rows))
            first -= batch.num_rows - fresh.num_rows
            for number in range(fresh.num_rows):
                yield fresh.slice(number, 1).to_pylist()[0]


def _plain(value: Any) -> Any:
    """Return what JSON can say of a value."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _told(value)


def _told(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value if value is None or isinstance(value, str | bool | int) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
