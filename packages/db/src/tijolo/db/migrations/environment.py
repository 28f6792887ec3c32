"""What a project's ``env.py`` calls: one function, for every Alembic command."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from alembic import context
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from tijolo.db.migrations._database import Request, connection_for, lock_writes
from tijolo.db.migrations._foreign_keys import ForeignKeyCheck
from tijolo.db.migrations._lock import migration_lock
from tijolo.db.migrations._portable import portable
from tijolo.db.migrations._threads import outside_loop
from tijolo.db.migrations.enums import drop_enums_with_their_tables
from tijolo.db.migrations.errors import SchemaAheadError
from tijolo.db.migrations.hooks import (
    ProcessRevisionDirectives,
    compose_hooks,
    drop_indexes_with_their_table,
)

_logger = logging.getLogger("tijolo.db.migrations")


class HasMetadata(Protocol):
    """A declarative base."""

    metadata: MetaData


def run_migrations(
    target: MetaData | type[HasMetadata] | Sequence[MetaData],
    *,
    process_revision_directives: ProcessRevisionDirectives | None = None,
    version_table: str | None = None,
    version_table_schema: str | None = None,
    **options: Any,
) -> None:
    """Run the Alembic command that loaded this ``env.py``, on an async driver.

    Commands that write hold the migration lock, unless the database is already where they would
    take it. Each revision is a transaction of its own.

    Args:
        target: The models' metadata, or their declarative base.
        version_table: Where Alembic keeps the revision; ``version_table`` of the ini section, or
            ``alembic_version``, when not given. The same for ``version_table_schema``, which
            must exist.
        options: For ``alembic.context.configure``; they win over the defaults here.

    Raises:
        DatabaseUnreachableError: There is no connection.
        SchemaAheadError: The database is at a revision that is not among these.
        MigrationLockTimeoutError: Another process migrates for too long.
    """
    config = context.config
    render_item = portable(options.pop("render_item", None))
    run = _Run(
        {
            "target_metadata": getattr(target, "metadata", target),
            "process_revision_directives": compose_hooks(
                drop_indexes_with_their_table,
                drop_enums_with_their_tables,
                *filter(None, [process_revision_directives]),
            ),
            "version_table": version_table
            or config.get_main_option("version_table", "alembic_version"),
            "version_table_schema": version_table_schema
            or config.get_main_option("version_table_schema"),
            "render_item": render_item,
            "compare_type": True,
            "transaction_per_migration": True,
        }
        | options
    )
    if context.is_offline_mode():
        run.offline()
    elif isinstance(shared := config.attributes.get("connection"), Connection):
        run.apply(shared)
    else:
        outside_loop(lambda: asyncio.run(run.online()))


class _Run:
    """One command on one database."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._request = Request.of(context.config)
        self._destination = _destination()

    def offline(self) -> None:
        """Write SQL instead of running it; only the dialect of the URL is looked at."""
        url, _ = self._request.database(context.config)
        context.configure(
            url=url,
            literal_binds=True,
            dialect_opts={"paramstyle": "named"},
            **self._for(url.get_backend_name()),
        )
        with context.begin_transaction():
            context.run_migrations()

    async def online(self) -> None:
        """Take the lock where the command writes and there is something to write."""
        async with connection_for(self._request, context.config) as connection:
            if self._destination is None or not self._request.lock:
                await connection.run_sync(self.apply)
            elif not await connection.run_sync(self._is_there):
                await self._locked(connection)

    async def _locked(self, connection: AsyncConnection) -> None:
        name = f"{self._options['version_table_schema'] or ''}.{self._options['version_table']}"
        async with migration_lock(
            connection, name=name, timeout_seconds=self._request.lock_timeout
        ):
            await connection.run_sync(self.apply)

    def apply(self, connection: Connection) -> None:
        """Run the command, from the state that the database is in by now."""
        if self._destination is not None:
            lock_writes(connection)
            self._check_foreign_keys(connection)
        before = self._configure(connection)
        with context.begin_transaction():
            context.run_migrations()
        if self._destination is not None:
            after = context.get_context().get_current_heads()
            _logger.info("the schema went from %s to %s", _names(before), _names(after))

    def _is_there(self, connection: Connection) -> bool:
        heads = self._configure(connection)
        there = not context.get_context().purge and heads == self._destination
        if there:
            _logger.info("the schema is at %s already", _names(heads))
        return there

    def _configure(self, connection: Connection) -> set[str]:
        """Set Alembic's context up; the revisions that the database is at."""
        shared = connection.in_transaction()
        context.configure(connection=connection, **self._for(connection.dialect.name))
        heads = set(context.get_context().get_current_heads())
        self._refuse_unknown(heads)
        if not shared:
            connection.rollback()
        return heads

    def _check_foreign_keys(self, connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            callbacks = _as_list(self._options.get("on_version_apply"))
            self._options["on_version_apply"] = [ForeignKeyCheck(connection), *callbacks]

    def _refuse_unknown(self, heads: set[str]) -> None:
        if self._request.any_revision or context.get_context().purge:
            return
        known = {script.revision for script in context.script.walk_revisions()}
        if heads - known:
            raise SchemaAheadError(sorted(heads - known), context.script.get_heads())

    def _for(self, backend: str) -> dict[str, Any]:
        """The options that depend on the database."""
        if backend != "sqlite":
            return dict(self._options)
        return {"render_as_batch": True, "transactional_ddl": True} | self._options


def _destination() -> set[str] | None:
    """Where the command would take the database; None for one that only reads."""
    try:
        revision = context.get_revision_argument()
    except KeyError:
        return None
    if revision is None:
        return set()
    return {revision} if isinstance(revision, str) else set(revision)


def _names(revisions: Iterable[str]) -> str:
    return ", ".join(sorted(revisions)) or "base"


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return [callbacks] if callable(callbacks) else list(callbacks)
