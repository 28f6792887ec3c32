"""Sets of paths that match whole segments: ``/upload`` covers ``/upload/a``, not ``/uploads``."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope


class PathSet:
    """Paths, each with everything below it."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(_checked(path) for path in paths)
        self._below = tuple(f"{path}/" for path in self._paths)

    def __bool__(self) -> bool:
        return bool(self._paths)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and (path in self._paths or path.startswith(self._below))


def path_below_root(scope: Scope) -> str:
    """The path that the application's routes see: without ``root_path``, if it starts so."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _checked(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"path {path!r} must start with a slash, as request paths do")
    return path.rstrip("/")
