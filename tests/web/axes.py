"""axe-core, the accessibility checker, pinned and installed through npm once a machine."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from browsers import Browser

VERSION = "4.14.1"
_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def script() -> str:
    """The checker's program."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel"
    program = cache / f"axe-core-{VERSION}" / "axe.min.js"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "axe-core.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.is_file():
            _install(program)
    return program.read_text()


def _install(program: Path) -> None:
    assert shutil.which("npm"), "npm is not installed: apt-get install npm"
    with tempfile.TemporaryDirectory(dir=program.parent.parent) as folder:
        argv = ("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", f"axe-core@{VERSION}")
        ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=600)
        assert ended.returncode == 0, ended.stderr[-1500:]
        program.parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "node_modules" / "axe-core" / "axe.min.js").rename(program)


async def violations(page: Browser, *rules: str) -> list[str]:
    """What keeps people from using the page that is shown, each with where; only these rules where some are named."""
    if not await page.run("typeof window.axe === 'object'"):
        await page.run(f"{script()};0")
    tags = ", ".join(f"'{tag}'" for tag in rules or _RULES)
    asked = f"axe.run(document, {{runOnly: [{tags}], resultTypes: ['violations']}})"
    told: list[dict[str, Any]] = await page.run(
        f"{asked}.then(all => all.violations.map(one => "
        "({id: one.id, help: one.help, where: one.nodes.slice(0, 3).map(node => node.html.slice(0, 160))})))"
    )
    return [f"{one['id']}: {one['help']}: {one['where']}" for one in told]
