"""Whether a commit's message says what was done: an order with an object, in three words or more. Pure."""

import re

from flywheel.bootstrap.commit_words import DETERMINERS, GENERIC, IMPERATIVES, LEANING, NO_OBJECT, PREPOSITIONS

LEAST_WORDS = 3
_LONGEST = 200

_PREFIX = re.compile(r"^(?:[a-z]{2,12})(?:\([^()]{0,60}\))?!?:\s+(?=\S)", re.IGNORECASE)  # "fix(parser)!: "
_TICKET = re.compile(r"^(?:\[[^\[\]]{1,40}\]|#\d{1,9}:?|[A-Z]{2,10}-\d{1,6}:?|:[a-z0-9_+]{2,40}:)\s*")  # and gitmoji
_TAIL = re.compile(r"\s*(?:\(#\d{1,9}\)|\[[^\[\]]{1,40}\]|#\d{1,9})\s*$")
_WORD = re.compile(r"[^\W_](?:[\w.'`/*:<>=+()\[\]{}-]*[\w`)\]}*>])?")
_SCOPE = re.compile(r"^[\w./-]{1,40}:\s+(?=\S)")  # "parser: ", as some projects begin


def subject_of(message: str) -> str:
    """Return the first line without what its project's customs put around it."""
    subject = message.strip().partition("\n")[0].strip()[:_LONGEST]
    subject = subject.lstrip("\N{VARIATION SELECTOR-16}\N{ZERO WIDTH JOINER}").strip()
    while subject and not (subject[0].isalnum() or subject[0] in "[#:\"'`(<"):
        subject = subject[1:].lstrip()  # an emoji, a bullet
    for pattern in (_TICKET, _PREFIX, _SCOPE, _TICKET):
        subject = pattern.sub("", subject, count=1)
    while (shorter := _TAIL.sub("", subject)) != subject:
        subject = shorter
    return subject.rstrip(" .;!")


def fault_of(message: str) -> str:
    """Return why a message teaches nothing; nothing when it does."""
    words = [word.lower() for word in _WORD.findall(subject_of(message))]
    if len(words) < LEAST_WORDS:
        return "message of fewer than three words"
    if GENERIC.intersection(words):
        return "generic message"
    if words[0] not in IMPERATIVES:
        return "message does not begin with an imperative verb"
    if not _has_object(words):
        return "message without an object"
    return ""


def _has_object(words: list[str]) -> bool:
    """Tell whether something is named that the verb is done to."""
    verb, rest = words[0], words[1:]
    if rest[0] in PREPOSITIONS and verb not in LEANING:
        return False
    while rest and (rest[0] in DETERMINERS or rest[0] in PREPOSITIONS):
        rest = rest[1:]
    return bool(rest) and rest[0] not in NO_OBJECT
