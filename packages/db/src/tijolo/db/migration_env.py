"""What an ``env.py`` of Alembic calls: async drivers, a lock, and sensible comparisons."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from sqlalchemy import Connection, MetaData
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.elements import False_, True_

from tijolo.core import MissingExtraError
from tijolo.db._engine import install_events
from tijolo.db._migration_lock import migration_lock
from tijolo.db._options import EngineOptions, engine_arguments
from tijolo.db._url import extra_of, for_async, parse_url
from tijolo.db.alembic_hooks import ProcessRevisionDirectives
from tijolo.db.types import UtcDateTime, utc_now

ResultT = TypeVar("ResultT")

URL_ATTRIBUTE = "tijolo_url"
"""``config.attributes`` carries the URL as an object: an ini file would interpolate its ``%``."""

LOCK_TIMEOUT_ATTRIBUTE = "tijolo_lock_timeout"
NO_LOCK_ATTRIBUTE = "tijolo_no_lock"


def run_migrations(
    target_metadata: MetaData | Sequence[MetaData],
    *,
    process_revision_directives: ProcessRevisionDirectives | None = None,
    version_table: str = "alembic_version",
    **configure: Any,
) -> None:
    """Run what Alembic was asked for; call it at the end of ``env.py``.

    Args:
        version_table: Where the revision is stored; one per migration tree of a database.
        configure: Further arguments of ``context.configure``, such as ``include_object``.
    """
    options: dict[str, Any] = {
        "target_metadata": target_metadata,
        "process_revision_directives": process_revision_directives,
        "version_table": version_table,
        "compare_type": True,
        "compare_server_default": _compare_server_default,
        "render_item": _render_item,
        "transaction_per_migration": True,
        **configure,
    }
    if context.is_offline_mode():
        _run_offline(options)
    else:
        run_async(_run_online(options))


def url_of(config: Config) -> URL:
    """The URL of the helper, of the ini file, or of ``DATABASE_URL``, in this order."""
    given = config.attributes.get(URL_ATTRIBUTE)
    if given is None:
        given = config.get_main_option("sqlalchemy.url") or os.environ.get("DATABASE_URL")
    if not given:
        raise RuntimeError("no database URL: set DATABASE_URL, or sqlalchemy.url in the ini file")
    return for_async(parse_url(given))


def make_engine(url: URL) -> AsyncEngine:
    """An engine for migrations: no pool, no time limits, and on SQLite no foreign keys.

    Batch operations copy a table and drop the old one, which cascades where they are on.
    """
    options = EngineOptions(
        poolclass=NullPool,
        statement_timeout=None,
        idle_transaction_timeout=None,
        foreign_keys=False,
    )
    try:
        engine = create_async_engine(url, **engine_arguments(url, options))
    except ModuleNotFoundError as exc:
        raise MissingExtraError("tijolo-db", extra_of(url), str(exc.name)) from exc
    install_events(engine.sync_engine, url, options)
    return engine


def run_async(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run ``work`` to its end, also where the calling thread has a running loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, thread_name_prefix="tijolo-migrations") as executor:
        return executor.submit(asyncio.run, work).result()


def _run_offline(options: dict[str, Any]) -> None:
    url = url_of(context.config)
    context.configure(
        url=url.render_as_string(hide_password=False),
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run_online(options: dict[str, Any]) -> None:
    engine = make_engine(url_of(context.config))
    attributes = context.config.attributes
    try:
        if attributes.get(NO_LOCK_ATTRIBUTE):
            await _migrate(engine, options)
            return
        timeout = attributes.get(LOCK_TIMEOUT_ATTRIBUTE, 300.0)
        async with migration_lock(engine, options["version_table"], timeout=timeout):
            await _migrate(engine, options)
    finally:
        await engine.dispose()


async def _migrate(engine: AsyncEngine, options: dict[str, Any]) -> None:
    def run(connection: Connection) -> None:
        sqlite = connection.dialect.name == "sqlite"
        context.configure(
            connection=connection,
            # SQLite's DDL is transactional once the driver leaves BEGIN to us
            transactional_ddl=None if not sqlite else True,
            render_as_batch=sqlite,
            **options,
        )
        with context.begin_transaction():
            context.run_migrations()

    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()


def _render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """tijolo's own types and defaults by name, so that a migration runs on every database."""
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen.imports.add("import tijolo.db")
        return "tijolo.db.UtcDateTime()"
    default = getattr(item, "arg", None) if kind == "server_default" else None
    if isinstance(default, utc_now):
        autogen.imports.add("import tijolo.db")
        return "tijolo.db.utc_now()"
    if isinstance(default, (True_, False_)):
        return f"sa.{str(default).lower()}()"
    return False


def _compare_server_default(
    migration: Any,
    inspected_column: Any,
    metadata_column: Any,
    inspected_default: Any,
    metadata_default: Any,
    rendered_metadata_default: Any,
) -> bool | None:
    """Each database spells its clock and its booleans in its own way; leave the rest to Alembic."""
    declared = getattr(metadata_column.server_default, "arg", None)
    if isinstance(declared, utc_now):
        return inspected_default is None
    if str(declared).lower() in {"true", "false"}:
        return inspected_default is None
    return None
