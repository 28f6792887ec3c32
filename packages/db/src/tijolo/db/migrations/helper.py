"""Alembic's commands as methods."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, Self, overload

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy.engine import URL

from tijolo.core import Environment
from tijolo.db._url import for_async, parse_url, redacted
from tijolo.db.migrations._commands import Commands
from tijolo.db.migrations._database import Request
from tijolo.db.migrations._scaffold import scaffold
from tijolo.db.migrations._threads import outside_loop
from tijolo.db.migrations.errors import MigrationError, MultipleHeadsError
from tijolo.db.migrations.report import SchemaReport, SchemaStatus, compare
from tijolo.db.waiting import wait_for_database


class DatabaseArguments(Protocol):
    """Settings that know a database: ``DatabaseSettings``."""

    def database_arguments(self) -> tuple[Any, dict[str, Any]]:
        """URL, and keyword arguments of a manager."""
        ...


class AlembicHelper:
    """One migration environment: an ini section, its directory of revisions, its database.

    Every method may be called from a plain script and from inside a running event loop, which
    waits meanwhile; the ``_async`` twins leave the loop free. Only async drivers are needed.

    Args:
        config_path: The ini file.
        db_url: Wins over the environment (``DATABASE_URL``), which wins over the ini file.
        section: The section of the ini file, for several databases side by side.
        environment: ``downgrade("base")`` works in development only; unset means production.
        connect_args: For the driver, such as TLS.
        lock: False where something else lets one process migrate at a time. The lock lives in
            a session of the server, which PgBouncer's transaction mode does not keep.
        lock_timeout_seconds: How long to wait for another process that migrates.
        ddl_lock_timeout_seconds: How long a statement waits for the locks of tables in use.
    """

    def __init__(
        self,
        config_path: str = "alembic.ini",
        *,
        db_url: str | URL | SecretStr | None = None,
        section: str = "alembic",
        environment: Environment | str = Environment.PRODUCTION,
        connect_args: dict[str, Any] | None = None,
        lock: bool = True,
        lock_timeout_seconds: float = 300.0,
        ddl_lock_timeout_seconds: float | None = 60.0,
    ) -> None:
        self.config_path = config_path
        self.section = section
        self.environment = Environment(environment)
        request = Request(
            url=None if db_url is None else for_async(parse_url(db_url)),
            connect_args=connect_args or {},
            lock=lock,
            lock_timeout=lock_timeout_seconds,
            ddl_lock_timeout=ddl_lock_timeout_seconds,
        )
        self._commands = Commands(Path(config_path), section, request)

    @classmethod
    def from_settings(
        cls, settings: DatabaseArguments, config_path: str = "alembic.ini", **overrides: Any
    ) -> Self:
        """A helper for the database of ``settings``; keyword arguments win."""
        url, arguments = settings.database_arguments()
        own = {k: arguments[k] for k in ("environment", "connect_args") if k in arguments}
        return cls(config_path, **({"db_url": url} | own | overrides))

    def __repr__(self) -> str:
        url = self._commands.request.url
        where = "" if url is None else f", db_url={redacted(url)!r}"
        return f"{type(self).__name__}({self.config_path!r}, section={self.section!r}{where})"

    @property
    def config(self) -> Config:
        """A new Alembic configuration. The URL is in its attributes, not among its options."""
        return self._commands.config()

    def init(
        self,
        directory: str = "alembic",
        *,
        metadata_module: str | None = None,
        metadata_attr: str = "BaseModel",
        db_url: str = "sqlite+aiosqlite:///./app.db",
    ) -> None:
        """Write a migration environment into ``directory``, and its section into the ini file.

        Args:
            metadata_module: The module that ``env.py`` imports; it must import every model.
            metadata_attr: The declarative base, or the MetaData, in that module.
            db_url: For the ini file, where it is used when the environment names no database.

        Raises:
            MigrationError: It would overwrite something, ``db_url`` has a password, or
                ``metadata_module`` has no ``metadata_attr``.
        """
        scaffold(
            Path(self.config_path),
            section=self.section,
            directory=directory,
            module=metadata_module,
            name=metadata_attr,
            url=db_url,
        )

    @overload
    def upgrade(self, revision: str = "head", *, sql: Literal[False] = False) -> None: ...
    @overload
    def upgrade(self, revision: str = "head", *, sql: Literal[True]) -> str: ...
    def upgrade(self, revision: str = "head", *, sql: bool = False) -> str | None:
        """Apply revisions up to ``revision``.

        Args:
            sql: Return the SQL, which needs no connection, instead of running it; ``revision``
                may then be a range, ``from:to``.

        Raises:
            MigrationLockTimeoutError: Another process migrates for too long.
            SchemaAheadError: The database is at a revision that this code does not have.
            DatabaseUnreachableError: There is no connection.
        """
        output = self._commands.printed(lambda config: command.upgrade(config, revision, sql=sql))
        return output if sql else None

    @overload
    def downgrade(
        self, revision: str = "-1", *, sql: Literal[False] = False, force: bool = False
    ) -> None: ...
    @overload
    def downgrade(self, revision: str, *, sql: Literal[True], force: bool = False) -> str: ...
    def downgrade(
        self, revision: str = "-1", *, sql: bool = False, force: bool = False
    ) -> str | None:
        """Undo revisions down to ``revision``, which stays; raises what :meth:`upgrade` does.

        Args:
            sql: Return the SQL of a range, ``from:to``, instead of running it.
            force: Allow ``base``, which drops every table, outside development.
        """
        if revision.endswith("base") and not (sql or force or self.environment.is_development):
            raise MigrationError(
                f"downgrading to {revision!r} drops every table and is refused with"
                f" environment={self.environment.value!r}; pass force=True to do it all the same"
            )
        output = self._commands.printed(lambda config: command.downgrade(config, revision, sql=sql))
        return output if sql else None

    def stamp(self, revision: str = "head", *, purge: bool = False) -> None:
        """Note that the database is at ``revision`` without running anything.

        Args:
            purge: Forget first what was noted, also a revision that does not exist any more.
        """
        self._commands.run(lambda config: command.stamp(config, revision, purge=purge))

    def revision(
        self, message: str, *, autogenerate: bool = True, sql: bool = False, head: str = "head"
    ) -> Any:
        """Write a revision file; with ``autogenerate``, from what models and database differ in.

        Returns:
            Alembic's ``Script``.

        Raises:
            EmptyRevisionError: They do not differ, and ``env.py`` uses ``refuse_empty_revisions``.
            MultipleHeadsError: There are several heads and ``head`` names none of them.
        """
        return self._commands.run(
            lambda config: command.revision(
                config, message=message, autogenerate=autogenerate, sql=sql, head=head
            )
        )

    def current(self) -> str | None:
        """The revision that the database is at; None before the first.

        Raises:
            MultipleHeadsError: It is at several, each of a branch.
        """
        heads = self._commands.inspect(MigrationContext.get_current_heads, any_revision=True)
        if len(heads) > 1:
            raise MultipleHeadsError(heads)
        return heads[0] if heads else None

    def heads(self) -> list[str]:
        """The newest revisions among the files; more than one needs a merge."""
        return self._commands.scripts(lambda scripts: list(scripts.get_heads()))

    def history(self, *, verbose: bool = False) -> str:
        """The revisions among the files, newest first, a line each."""
        return self._commands.printed(lambda config: command.history(config, verbose=verbose))

    def show(self, revision: str = "head") -> str:
        """What is known of one revision: identifier, parent, path, message."""
        return self._commands.printed(lambda config: command.show(config, revision))

    def check(self) -> bool:
        """Whether the database is at the newest revision and has what the models say.

        False means drift, and nothing else: see :meth:`report` for which.

        Raises:
            DatabaseUnreachableError: The database cannot be asked.
            SchemaAheadError: It was migrated by newer code.
        """
        return self.report().status is SchemaStatus.IN_SYNC

    def report(self) -> SchemaReport:
        """How files, models and database compare; raises what :meth:`check` does."""
        return self._commands.inspect(compare)

    def wait(self, *, timeout_seconds: float = 60.0, interval_seconds: float = 1.0) -> None:
        """Return as soon as the database answers; raises what ``wait_for_database`` does."""
        url, connect_args = self._commands.database()
        waiting = partial(
            wait_for_database,
            url,
            timeout_seconds=timeout_seconds,
            interval_seconds=interval_seconds,
            connect_args=connect_args,
        )
        outside_loop(lambda: asyncio.run(waiting()))

    async def upgrade_async(self, revision: str = "head") -> None:
        """:meth:`upgrade` in a thread; a cancelled caller does not stop it half-way."""
        await asyncio.to_thread(self.upgrade, revision)

    async def downgrade_async(self, revision: str = "-1", *, force: bool = False) -> None:
        """:meth:`downgrade` in a thread."""
        await asyncio.to_thread(self.downgrade, revision, force=force)

    async def stamp_async(self, revision: str = "head", *, purge: bool = False) -> None:
        """:meth:`stamp` in a thread."""
        await asyncio.to_thread(self.stamp, revision, purge=purge)

    async def current_async(self) -> str | None:
        """:meth:`current` in a thread."""
        return await asyncio.to_thread(self.current)

    async def check_async(self) -> bool:
        """:meth:`check` in a thread."""
        return await asyncio.to_thread(self.check)

    async def report_async(self) -> SchemaReport:
        """:meth:`report` in a thread."""
        return await asyncio.to_thread(self.report)
