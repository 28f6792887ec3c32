"""How an Alembic command is run: its configuration, its thread, its errors."""

from __future__ import annotations

import io
import threading
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL

from tijolo.db.migrations._database import ATTRIBUTE, Request
from tijolo.db.migrations._threads import outside_loop
from tijolo.db.migrations.errors import MigrationError, MigrationLockTimeoutError, alembic_errors

T = TypeVar("T")

# `alembic.context` and `alembic.op` are module globals: one command at a time in a process.
_ALEMBIC = threading.Lock()


class Commands:
    """Runs Alembic commands on one section of one ini file."""

    def __init__(self, config_path: Path, section: str, request: Request) -> None:
        self._path = config_path
        self._section = section
        self.request = request

    def config(self, *, any_revision: bool = False, quiet: bool = False) -> Config:
        """A new configuration; what is printed stays in it."""
        output = io.StringIO()
        request = replace(self.request, any_revision=any_revision)
        return Config(
            str(self._path),
            ini_section=self._section,
            output_buffer=output,
            stdout=output,
            attributes={ATTRIBUTE: request},
            cmd_opts=Namespace(quiet=quiet),  # True: commands report to nobody
        )

    def database(self) -> tuple[URL, dict[str, Any]]:
        """URL and driver arguments, also where there is no ini file yet."""
        return self.request.database(self.config())

    def run(
        self, work: Callable[[Config], T], *, any_revision: bool = False, quiet: bool = True
    ) -> T:
        """Do ``work`` with a configuration, alone in this process, where no event loop runs."""
        config = self.config(any_revision=any_revision, quiet=quiet)
        self._refuse_unconfigured(config)

        def alone() -> T:
            if not _ALEMBIC.acquire(timeout=self.request.lock_timeout):
                raise MigrationLockTimeoutError(
                    "another migration of this process has taken more than"
                    f" {self.request.lock_timeout:g} s"
                )
            try:
                with alembic_errors():
                    return work(config)
            finally:
                _ALEMBIC.release()

        return outside_loop(alone)

    def printed(self, work: Callable[[Config], Any]) -> str:
        """Like :meth:`run`, for what ``work`` prints."""

        def captured(config: Config) -> str:
            work(config)
            return str(config.stdout.getvalue())  # type: ignore[attr-defined]

        return self.run(captured, quiet=False)

    def scripts(self, read: Callable[[ScriptDirectory], T]) -> T:
        """What ``read`` finds in the revision files."""
        return self.run(lambda config: read(ScriptDirectory.from_config(config)))

    def inspect(self, read: Callable[[MigrationContext], T], *, any_revision: bool = False) -> T:
        """What ``read`` finds in the database, which stays as it is."""
        found: list[T] = []

        def look(_revision: Any, context: MigrationContext) -> list[Any]:
            found.append(read(context))
            return []

        def work(config: Config) -> T:
            scripts = ScriptDirectory.from_config(config)
            with EnvironmentContext(config, scripts, fn=look, dont_mutate=True):
                scripts.run_env()
            return found[0]

        return self.run(work, any_revision=any_revision)

    def _refuse_unconfigured(self, config: Config) -> None:
        if not self._path.is_file() or not config.file_config.has_section(self._section):
            raise MigrationError(
                f"{str(self._path)!r} does not exist or has no section {self._section!r}; init()"
                " writes one"
            )
