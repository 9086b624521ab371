"""Finds model servers of this machine by asking the loopback's usual ports what they serve; changes nothing there."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from flywheel.cli.init_findings import FoundModel, FoundServer, ServerKind
from flywheel.cli.init_models import size_of, where

PORTS = (8000, 8001, 8002, 8080, 8081, 11434, 1234, 30000)
SECONDS = 3.0
_MOST_BYTES = 4 << 20
_LOAD = "/v1/load_lora_adapter"
_OWNERS: Mapping[str, ServerKind] = {"vllm": "vllm", "llamacpp": "llama-server", "library": "ollama"}


def usual_urls(environment: Mapping[str, str], ports: Iterable[int] = PORTS) -> list[str]:
    """Return where a model server may be listening on this machine."""
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    named = environment.get("OLLAMA_HOST", "")
    try:
        host = urlsplit(named if "//" in named else f"//{named}")
        if host.hostname in {"127.0.0.1", "localhost"} and host.port:
            urls.append(f"http://127.0.0.1:{host.port}")
    except ValueError:  # no port that there could be
        pass
    return list(dict.fromkeys(urls))


def origin(url: str) -> str:
    """Return a server's address as settings name it: with its scheme, and without `/v1`."""
    told = url if "//" in url else f"http://{url}"
    return told.rstrip("/").removesuffix("/v1").rstrip("/")


def look_for_servers(urls: Iterable[str], cache: Path, seconds: float = SECONDS) -> list[FoundServer]:
    """Return what answers there, in the order of the addresses; all are asked at once, no question waits longer."""
    return asyncio.run(_all(list(urls), cache, seconds))


async def _all(urls: list[str], cache: Path, seconds: float) -> list[FoundServer]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session:
        found = await asyncio.gather(*(_server(session, url, cache) for url in urls))
    return [server for server in found if server is not None]


async def _server(session: aiohttp.ClientSession, url: str, cache: Path) -> FoundServer | None:
    listed = (await _json(session, f"{url}/v1/models")).get("data")
    if not isinstance(listed, list):
        return None
    entries = [one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)]
    entries = [one for one in entries if not one.get("parent")]  # what has a parent is an adapter
    versions = await _versions(session, url)
    kind = _kind(entries, versions)
    return FoundServer(
        url=url,
        kind=kind,
        version=versions.get(kind, ""),
        models=tuple([await asyncio.to_thread(_model, one, kind, cache) for one in entries]),
        loads=await _loads(session, url) if kind == "vllm" else None,
    )


def _kind(entries: list[dict[str, Any]], versions: Mapping[str, str]) -> ServerKind:
    """Tell what a server is, by who it says owns its models, else by what it says like no other."""
    owner = next((_OWNERS[one["owned_by"]] for one in entries if one.get("owned_by") in _OWNERS), None)
    speaks_vllm = "vllm" in versions and any("root" in one for one in entries)
    return owner or ("vllm" if speaks_vllm else "ollama" if "ollama" in versions else "openai")


async def _versions(session: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """Return the version that it says of itself, by the kind of server that says it there."""
    asked = {"vllm": "/version", "ollama": "/api/version"}
    answers = await asyncio.gather(*(_json(session, url + path) for path in asked.values()))
    return {kind: str(told["version"])[:40] for kind, told in zip(asked, answers, strict=True) if told.get("version")}


async def _loads(session: aiohttp.ClientSession, url: str) -> bool | None:
    """Tell whether it has a door by which adapters are loaded; None where it does not say what doors it has."""
    paths = (await _json(session, f"{url}/openapi.json")).get("paths")
    return _LOAD in paths if isinstance(paths, dict) else None


def _model(entry: Mapping[str, Any], kind: ServerKind, cache: Path) -> FoundModel:
    folder = where(str(entry.get("root") or entry["id"]), cache) if kind == "vllm" else None
    return FoundModel(served_as=entry["id"], path=folder, parameters_billion=size_of(folder) if folder else None)


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Return a JSON document of bounded size, empty where there is none."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.OK:
                return {}
            data = b""
            async for chunk in answer.content.iter_any():
                data += chunk
                if len(data) > _MOST_BYTES:
                    return {}
        told = json.loads(data)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
