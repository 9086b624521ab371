"""Where an answer begins: behind the model's thoughts. Pure; never raises."""

import re

_CLOSE = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_OPEN = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)


def after_thoughts(text: str) -> str:
    """Return what follows the last thought; a thought that never ends leaves nothing.

    Some templates open the thought in the prompt, so its end alone is read, too.
    """
    at = max((found.end() for found in _CLOSE.finditer(text)), default=0)
    said = text[at:]
    return "" if _OPEN.match(said) else said.strip("\n")
