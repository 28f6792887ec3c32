"""Alembic from code: the commands of its command line, with a URL, a lock and clear answers."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from tijolo.core import Environment
from tijolo.db._url import parse_url

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_TEMPLATES = Path(__file__).parent / "templates"
_logger = logging.getLogger("tijolo.db.migrations")


class MigrationState(StrEnum):
    """Where a database stands against the migrations of this release."""

    AT_HEAD = "at_head"
    BEHIND = "behind"
    AHEAD = "ahead"
    """It has a revision that this release does not know: a newer one was here."""


class AlembicHelper:
    """The migrations of one database. Every method is synchronous and safe to call anywhere,
    also from a thread whose event loop is running, which it blocks meanwhile.

    Args:
        config_path: The ini file; several databases have one each.
        db_url: The database; by default ``sqlalchemy.url`` of the file, else ``DATABASE_URL``.
        environment: ``downgrade("base")`` works in development only; unset means production.
        lock_timeout: Seconds to wait for another process that migrates.
    """

    def __init__(
        self,
        config_path: str = "alembic.ini",
        *,
        db_url: str | URL | SecretStr | None = None,
        environment: Environment | str = Environment.PRODUCTION,
        lock_timeout: float = 300.0,
    ) -> None:
        self.config_path = config_path
        self._url = None if db_url is None else parse_url(db_url)
        self.environment = Environment(environment)
        self._lock_timeout = lock_timeout

    @property
    def config(self) -> Config:
        """A new Alembic configuration: commands change theirs."""
        from alembic.config import Config  # noqa: PLC0415

        from tijolo.db import migration_env  # noqa: PLC0415

        config = Config(self.config_path)
        config.attributes[migration_env.LOCK_TIMEOUT_ATTRIBUTE] = self._lock_timeout
        if self._url is not None:
            config.attributes[migration_env.URL_ATTRIBUTE] = self._url
        return config

    def init(
        self,
        directory: str = "alembic",
        *,
        metadata_module: str | None = None,
        metadata_attr: str = "BaseModel",
        db_url: str | None = None,
    ) -> None:
        """Write ``config_path`` and the migration environment in ``directory``.

        Args:
            metadata_module: The module that imports every model.
            metadata_attr: A declarative base or a MetaData in it.
            db_url: Written to the file if given; leave secrets to ``DATABASE_URL``.

        Raises:
            FileExistsError: There is something already.
        """
        target, ini = Path(directory), Path(self.config_path)
        for path in (ini, target / "env.py"):
            if path.exists():
                raise FileExistsError(f"{str(path)!r} exists; nothing was written")
        (target / "versions").mkdir(parents=True, exist_ok=True)
        url = (db_url or "").replace("%", "%%")
        values = {
            "{script_location}": target.as_posix(),
            "{url}": url,
            "{module}": metadata_module or "tijolo.db",
            "{attribute}": metadata_attr,
        }
        for template, path in (
            ("alembic.ini", ini),
            ("env.py", target / "env.py"),
            ("script.py.mako", target / "script.py.mako"),
        ):
            content = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
            for placeholder, value in values.items():
                content = content.replace(placeholder, value)
            path.write_text(content, encoding="utf-8")

    def upgrade(self, revision: str = "head") -> None:
        """Migrate up to ``revision``. Processes that come at once take turns; those that find
        the database at its head do not wait for anybody.
        """
        from alembic import command  # noqa: PLC0415

        if revision in {"head", "heads"} and self.state() is MigrationState.AT_HEAD:
            return
        command.upgrade(self.config, revision)

    def downgrade(self, revision: str = "-1") -> None:
        """Migrate down to ``revision``; to ``base`` in development only."""
        from alembic import command  # noqa: PLC0415

        from tijolo.db.boundary import refuse_outside_development  # noqa: PLC0415

        if revision == "base":
            refuse_outside_development("downgrade('base')", self.environment)
        command.downgrade(self.config, revision)

    def revision(
        self, message: str, *, autogenerate: bool = True, sql: bool = False, head: str = "head"
    ) -> Any:
        """Write a new migration; returns Alembic's ``Script``."""
        from alembic import command  # noqa: PLC0415

        return command.revision(self.config, message, autogenerate=autogenerate, sql=sql, head=head)

    def stamp(self, revision: str = "head") -> None:
        """Say that the database is at ``revision`` without migrating it."""
        from alembic import command  # noqa: PLC0415

        command.stamp(self.config, revision)

    def current(self) -> str | None:
        """The revision of the database; None when it has none.

        Raises:
            ServiceUnavailableException: The database cannot be reached.
        """
        found = self._current_heads()
        return ", ".join(found) or None

    def heads(self) -> list[str]:
        """The newest revisions; more than one wants a merge."""
        return list(self._script().get_heads())

    def history(self, *, verbose: bool = False) -> str:
        """Every revision, newest first, as text."""
        from alembic import command  # noqa: PLC0415

        return self._captured(lambda config: command.history(config, verbose=verbose))

    def show(self, revision: str = "head") -> str:
        """One revision as text."""
        from alembic import command  # noqa: PLC0415

        return self._captured(lambda config: command.show(config, revision))

    def state(self) -> MigrationState:
        """Whether the database is at the head, behind it, or ahead of this release."""
        script = self._script()
        current = set(self._current_heads())
        if current == set(script.get_heads()):
            return MigrationState.AT_HEAD
        known = {revision.revision for revision in script.walk_revisions()}
        return MigrationState.AHEAD if current - known else MigrationState.BEHIND

    def check(self) -> bool:
        """Whether models, migrations and database agree; False when they drifted apart.

        Raises:
            ServiceUnavailableException: The database cannot be reached: not the same as drift.
        """
        from alembic import command, util  # noqa: PLC0415

        from tijolo.db import migration_env  # noqa: PLC0415

        if (state := self.state()) is not MigrationState.AT_HEAD:
            _logger.info("the database is %s the migrations", state.value)
            return False
        config = self.config
        config.attributes[migration_env.NO_LOCK_ATTRIBUTE] = True
        config.stdout = io.StringIO()
        try:
            command.check(config)
        except util.AutogenerateDiffsDetected as exc:
            _logger.info("models and database differ: %s", exc)
            return False
        return True

    def _script(self) -> ScriptDirectory:
        from alembic.script import ScriptDirectory  # noqa: PLC0415

        return ScriptDirectory.from_config(self.config)

    def _captured(self, run: Any) -> str:
        output = io.StringIO()
        config = self.config
        config.stdout = output
        with redirect_stdout(output):
            run(config)
        return output.getvalue()

    def _current_heads(self) -> tuple[str, ...]:
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

        from tijolo.db import migration_env  # noqa: PLC0415

        config = self.config
        table = config.get_main_option("version_table") or "alembic_version"

        def read(connection: Connection) -> tuple[str, ...]:
            migration = MigrationContext.configure(connection, opts={"version_table": table})
            return tuple(migration.get_current_heads())

        async def run() -> tuple[str, ...]:
            engine = migration_env.make_engine(migration_env.url_of(config))
            try:
                async with engine.connect() as connection:
                    return await connection.run_sync(read)
            finally:
                await engine.dispose()

        return migration_env.run_async(run())
