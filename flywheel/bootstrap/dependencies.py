"""Which files of a tree a file's imports mean. Pure; what is not in the tree is somebody else's."""

import posixpath
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from flywheel.bootstrap.outlines import Outline

_SCRIPTS = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")


class Tree:
    """The names of a tree's files, to be found by their ends."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names of all files."""
        self.names = frozenset(names)
        self._by_last: dict[str, list[str]] = {}
        for name in sorted(self.names):
            self._by_last.setdefault(name.rpartition("/")[2], []).append(name)

    def ending(self, path: str, near: str = "") -> str | None:
        """Return the file whose name ends with a path, part by part: the one nearest to `near` when there are some."""
        found = [name for name in self._by_last.get(path.rpartition("/")[2], ()) if f"/{name}".endswith(f"/{path}")]
        return max(found, key=lambda name: (_shared(name, near), -len(name)), default=None)


def dependencies_of(path: str, told: Outline, tree: Tree) -> list[str]:
    """Return the files of the tree that a file imports, in the order it imports them, itself left out."""
    found = dict.fromkeys(file for one in told.imports for file in _meant(path, one, told.language, tree))
    return [file for file in found if file != path]


def _meant(path: str, imported: str, language: str, tree: Tree) -> Iterator[str]:
    ways = {"python": _python, "rust": _rust, "ruby": _ruby}
    way = ways.get(language, _script if language != "swift" else None)
    if way is not None:
        found = next((name for name in way(path, imported, tree) if name), None)
        if found is not None:
            yield found


def _python(path: str, imported: str, tree: Tree) -> Iterator[str | None]:
    level = len(imported) - len(imported.lstrip("."))
    parts = [part for part in imported.split(".") if part]
    if level:
        folder = PurePosixPath(path).parents[min(level, len(PurePosixPath(path).parents)) - 1]
        base = (folder / "/".join(parts)).as_posix() if parts else folder.as_posix()
        yield from (name if name in tree.names else None for name in (f"{base}.py", f"{base}/__init__.py"))
    elif parts:
        whole = "/".join(parts)
        yield from (tree.ending(f"{whole}.py", path), tree.ending(f"{whole}/__init__.py", path))


def _script(path: str, imported: str, tree: Tree) -> Iterator[str | None]:
    if not imported.startswith("."):
        return
    base = posixpath.normpath(posixpath.join(posixpath.dirname(path), imported))
    stem = posixpath.splitext(base)[0] if base.endswith(_SCRIPTS) else base  # "./a.js" may mean a.ts
    names = [base, *(f"{stem}{end}" for end in _SCRIPTS), *(f"{base}{end}" for end in _SCRIPTS),
             *(f"{base}/index{end}" for end in _SCRIPTS)]  # fmt: skip
    yield from (name if name in tree.names else None for name in names)


def _rust(path: str, imported: str, tree: Tree) -> Iterator[str | None]:
    folder, stem = posixpath.dirname(path), PurePosixPath(path).stem
    inner = folder if stem in {"mod", "lib", "main"} else posixpath.join(folder, stem)
    parts = imported.split("::")
    if parts[0] == "mod":
        bases = [posixpath.join(inner, parts[1])]
    elif parts[0] in {"crate", "self", "super"}:
        root = {"crate": "src", "self": inner, "super": posixpath.dirname(inner)}[parts[0]]
        bases = [posixpath.join(root, *parts[1:end]) for end in range(len(parts), 1, -1)]
    else:
        return
    for base in bases:
        for name in (f"{base}.rs", f"{base}/mod.rs"):
            yield (name if name in tree.names else None) or (tree.ending(name, path) if parts[0] == "crate" else None)


def _ruby(path: str, imported: str, tree: Tree) -> Iterator[str | None]:
    name = imported if imported.endswith(".rb") else f"{imported}.rb"
    if imported.startswith("./"):
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
        yield joined if joined in tree.names else None
    else:
        yield tree.ending(name, path)


def _shared(one: str, other: str) -> int:
    """Return how many folders two paths share from the top."""
    pairs = zip(one.split("/")[:-1], other.split("/")[:-1], strict=False)
    count = 0
    for a, b in pairs:
        if a != b:
            break
        count += 1
    return count
