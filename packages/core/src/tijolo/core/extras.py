"""One clear error for an optional library that is not installed."""

from __future__ import annotations


class MissingExtraError(ImportError):
    """An optional dependency is missing; the message is the command that installs it.

    Raise it where the library is imported::

        try:
            import asyncpg
        except ImportError as exc:
            raise MissingExtraError("tijolo-db", "postgres", "asyncpg") from exc

    Args:
        distribution: The tijolo distribution, as pip names it.
        extra: The extra that brings the library.
        library: The library that could not be imported.
    """

    def __init__(self, distribution: str, extra: str, library: str) -> None:
        self.distribution = distribution
        self.extra = extra
        self.library = library
        self.command = f'python -m pip install "{distribution}[{extra}]"'
        super().__init__(
            f"{library!r} is not installed; this part of {distribution} needs the extra"
            f" {extra!r}. Install it with:\n    {self.command}",
            name=library,
        )

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        return type(self), (self.distribution, self.extra, self.library)
