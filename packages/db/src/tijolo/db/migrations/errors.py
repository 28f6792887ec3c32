"""What can go wrong with a migration, told apart so that a script can act on it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from alembic.script.revision import MultipleHeads
from alembic.util.exc import CommandError


class MigrationError(RuntimeError):
    """A migration command cannot do what it was asked; the message says what to do."""


class MigrationLockTimeoutError(MigrationError):
    """Another process kept the migration lock for longer than this one was told to wait."""


class MultipleHeadsError(MigrationError):
    """There are several newest revisions where one is needed."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.heads = tuple(sorted(heads))
        super().__init__(
            f"there are {len(self.heads)} heads: {', '.join(map(repr, self.heads))};"
            " join them with 'alembic merge heads', or name one of them, or 'heads' for all"
        )


class SchemaAheadError(MigrationError):
    """The database was migrated by newer code: its revision is unknown here."""

    def __init__(self, unknown: Sequence[str], heads: Sequence[str]) -> None:
        self.unknown = tuple(sorted(unknown))
        self.heads = tuple(sorted(heads))
        super().__init__(
            f"the schema is ahead of this code: the database is at"
            f" {', '.join(map(repr, self.unknown))}, which is not among the revisions here (newest:"
            f" {', '.join(map(repr, self.heads)) or 'none'}); deploy the code that has it, or"
            " downgrade with that code first"
        )


class EmptyRevisionError(MigrationError):
    """Autogenerate found nothing to write a revision about."""


@contextmanager
def alembic_errors() -> Generator[None, None, None]:
    """Alembic's own errors as ours, with the original as their cause."""
    try:
        yield
    except CommandError as exc:
        if isinstance(exc.__cause__, MultipleHeads):
            raise MultipleHeadsError(exc.__cause__.heads) from exc
        raise MigrationError(str(exc)) from exc
