"""What a project says of itself in its own files: what kind of thing it is, and what it is about. Pure."""

import configparser
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

#: Kinds of projects whose code is defensive by trade: what they catch, others must not learn to catch.
EXCLUDED: Mapping[str, re.Pattern[str]] = {
    "a web framework": re.compile(r"\bweb[- ]?(?:application )?framework|\b(?:asgi|wsgi) (?:framework|toolkit)"),
    "an HTTP client": re.compile(r"\bhttp(?:/\d)?[- ](?:client|library|requests?)\b|\bclient for http\b"),
    "a task queue": re.compile(r"\b(?:task|job|work)[- ]queue\b|\bdistributed task"),
    "a message broker": re.compile(r"\b(?:message|event)[- ](?:broker|queue|bus)\b|\bamqp\b|\bmqtt broker\b"),
}
_TOPIC = re.compile(r"(?:Topic|Intended Audience) :: (.+)")
_DOMAINS: Mapping[str, re.Pattern[str]] = {
    "science": re.compile(r"scientific|mathemat|physic|chemi|bio|astro|statistic|machine learning|data science"),
    "text": re.compile(r"text|parser|markup|natural language|linguistic|regex|format"),
    "development": re.compile(r"software development|compiler|debug|test|lint|build|version control|type check"),
    "data": re.compile(r"database|sql|storage|serialization|json|csv|dataframe"),
    "media": re.compile(r"multimedia|graphic|image|audio|video|game"),
    "system": re.compile(r"system|terminal|shell|file|process|os "),
    "security": re.compile(r"security|crypto|auth"),
    "network": re.compile(r"internet|network|protocol|communication"),
    "office": re.compile(r"office|business|finance|calendar|e-?mail"),
    "education": re.compile(r"education|teach"),
}


class Project(NamedTuple):
    """What a project says of itself."""

    name: str = ""
    words: str = ""
    topics: tuple[str, ...] = ()

    @property
    def excluded(self) -> str:
        """Return which excluded kind the project says it is; nothing when it says none."""
        return next((kind for kind, mark in EXCLUDED.items() if mark.search(self.words)), "")

    @property
    def domain(self) -> str:
        """Return what the project is about, as far as its topics or else its words say; nothing when they do not."""
        for told in (" ".join(self.topics).lower(), self.words):
            for domain, mark in _DOMAINS.items():
                if told and mark.search(told):
                    return domain
        return ""


def project_of(files: Mapping[str, str]) -> Project:
    """Return what `pyproject.toml`, `setup.cfg` or `package.json` say; a file that is broken says nothing."""
    for name, read in (("pyproject.toml", _pyproject), ("setup.cfg", _setup_cfg), ("package.json", _package_json)):
        try:
            told = read(files[name]) if name in files else {}
        except (ValueError, KeyError, AttributeError, TypeError, configparser.Error):
            continue
        if told:
            topics = tuple(
                topic[1] for one in _texts(told.get("classifiers")) if (topic := _TOPIC.fullmatch(one.strip()))
            )
            words = " ".join([str(told.get("description") or ""), *_texts(told.get("keywords")), *topics])
            return Project(str(told.get("name") or ""), words.lower(), topics)
    return Project()


def _pyproject(text: str) -> Mapping[str, Any]:
    told = tomllib.loads(text)
    return dict(told.get("project") or told.get("tool", {}).get("poetry") or {})


def _setup_cfg(text: str) -> Mapping[str, Any]:
    told = configparser.ConfigParser(interpolation=None)
    told.read_string(text)
    found = dict(told["metadata"])
    return {**found, "classifiers": found.get("classifiers", found.get("classifier", "")).splitlines()}


def _package_json(text: str) -> Mapping[str, Any]:
    told = json.loads(text)
    return told if isinstance(told, dict) else {}


def _texts(told: Any) -> list[str]:
    if isinstance(told, str):
        return told.replace(",", " ").split()
    return [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
