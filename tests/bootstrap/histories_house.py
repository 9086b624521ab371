"""Histories that the tests build: real commits by real git."""

import os
import subprocess
from pathlib import Path

_PERSON = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
}  # fmt: skip


class History:
    """A repository that grows."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path = path
        self.moment = 1_700_000_000
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, **env: str) -> str:
        """Run git as its person."""
        argv = ["git", "-C", str(self.path), *arguments]
        told = {**os.environ, **_PERSON, **env}
        return subprocess.run(argv, capture_output=True, text=True, check=True, env=told, timeout=60).stdout.strip()

    def commit(self, message: str, files: "dict[str, str | bytes | None]", **env: str) -> str:
        """Write files (None takes one away) and commit them; return the commit's name."""
        for name, text in files.items():
            file = self.path / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.git("add", "-A")
        self.moment += 60
        at = f"{self.moment} +0000"
        self.git(
            "commit", "-q", "--allow-empty", "-m", message, **({"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at} | env)
        )
        return self.git("rev-parse", "HEAD")

    def fast(self, commits: int, seed: int = 0) -> None:
        """Grow by many commits at once, as `git fast-import` takes them: every third is a lesson."""
        told = []
        for number in range(commits):
            self.moment += 60
            message = f"Add function number {number} to the module" if number % 3 == 0 else "wip"
            text = "".join(
                f"def f{n}(x):\n    return x + {n + seed}\n\n" for n in range(max(number - 20, 0), number + 1)
            )
            told.append(
                f"commit refs/heads/main\nmark :{number + 1}\n"
                f"committer Ada <ada@example.org> {self.moment} +0000\ndata {len(message)}\n{message}\n"
                + (f"from :{number}\n" if number else "")
                + f"M 100644 inline pkg/m{number % 7}.py\ndata {len(text)}\n{text}\n"
            )
        argv = ["git", "-C", str(self.path), "fast-import", "--quiet", "--force"]
        subprocess.run(argv, input="".join(told).encode(), check=True, timeout=120, capture_output=True)
