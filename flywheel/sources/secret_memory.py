"""Finding secrets in conversations, whose messages come again with every answer: each text is looked at once."""

import hashlib
from collections.abc import Iterable

from flywheel.core.secrets import find_secret

_MOST = 50_000  # texts remembered, by hash: a few megabytes


class SecretMemory:
    """Remembers which texts hold a secret, and by which rule."""

    def __init__(self) -> None:
        """Begin without any."""
        self._found: dict[bytes, str | None] = {}

    def find(self, texts: Iterable[str]) -> str | None:
        """Return the name of a rule that finds a secret in any of the texts."""
        return next((rule for text in texts if text and (rule := self._look(text))), None)

    def _look(self, text: str) -> str | None:
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if key not in self._found:
            if len(self._found) >= _MOST:
                self._found.clear()
            self._found[key] = find_secret(text)
        return self._found[key]
