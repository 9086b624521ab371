"""A repository's licence, from the words of its licence file. Pure. What is not known for sure is `unknown`."""

import re
from collections.abc import Iterable

from flywheel.core.makings import UNKNOWN_LICENCE

_NAME = re.compile(r"(?i)(?:un)?licen[cs]e(?:[-.].*)?|copying(?:\..*)?|mit-license(?:\..*)?")
# Each licence by phrases that all have to stand there, and by phrases that must not; the narrower ones come first.
# Of two in one file the stricter counts.
_MARKS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("AGPL-3.0", ("gnu affero general public license", "version 3"), ()),
    ("LGPL-3.0", ("gnu lesser general public license", "version 3"), ()),
    ("LGPL-2.1", ("gnu lesser general public license", "version 2.1"), ()),
    ("GPL-3.0", ("gnu general public license", "version 3"), ()),
    ("GPL-2.0", ("gnu general public license", "version 2"), ()),
    ("MPL-2.0", ("mozilla public license", "2.0"), ()),
    ("EPL-2.0", ("eclipse public license", "2.0"), ()),
    ("Apache-2.0", ("apache license", "version 2.0"), ()),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name"), ()),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",), ("neither the name",)),
    (
        "ISC",
        ("permission to use, copy, modify, and", "distribute this software for any purpose with or without fee"),
        (),
    ),
    ("0BSD", ("permission to use, copy, modify, and", "with or without fee is hereby granted"), ("provided that",)),
    ("MIT", ("permission is hereby granted, free of charge", "without warranty of any kind"), ()),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",), ()),
    ("CC0-1.0", ("cc0 1.0 universal",), ()),
)


def is_licence_file(name: str) -> bool:
    """Tell whether a file in a repository's root is its licence by its name."""
    return bool(_NAME.fullmatch(name))


def licence_of(texts: Iterable[str]) -> str:
    """Return the SPDX id that all these licence files agree on; `unknown` where they do not, or there is none."""
    found = {_one(text) for text in texts}
    return found.pop() if len(found) == 1 else UNKNOWN_LICENCE


def _one(text: str) -> str:
    words = " ".join(re.sub(r"[^\w.,'-]+", " ", text.lower()).split())
    for name, needed, absent in _MARKS:
        if all(mark in words for mark in needed) and not any(mark in words for mark in absent):
            return name
    return UNKNOWN_LICENCE
