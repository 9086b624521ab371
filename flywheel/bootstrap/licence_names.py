"""A licence as a dataset writes its name, as its SPDX id. Pure."""

import re

from flywheel.core.makings import UNKNOWN_LICENCE

_IDS = (
    "0BSD AGPL-3.0 Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0 CC0-1.0 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-4.0"
    " CC-BY-NC-SA-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 EPL-1.0 EPL-2.0 GPL-2.0 GPL-3.0 ISC LGPL-2.1 LGPL-3.0 MIT MPL-2.0"
    " ODC-By-1.0 Unlicense Zlib"
)
_BY_NAME = {name.lower(): name for name in _IDS.split()}
_ALSO = {"apache": "Apache-2.0", "apache2": "Apache-2.0", "bsd": "BSD-3-Clause", "odc-by": "ODC-By-1.0"}
_SHAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_NOTHING = frozenset({"", "unknown", "other", "none", "null", "noassertion", "proprietary", "n-a"})


def spdx_of(name: str) -> str:
    """Return the SPDX id of a licence's name; one that says nothing, or is no name, is `unknown`."""
    plain = "-".join(name.split()).lower().removeprefix("license-")
    if plain in _NOTHING or not _SHAPE.fullmatch(plain):
        return UNKNOWN_LICENCE
    return _BY_NAME.get(plain) or _ALSO.get(plain) or name.strip()
