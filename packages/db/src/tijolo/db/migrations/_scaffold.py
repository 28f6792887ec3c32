"""The files of a new migration environment."""

from __future__ import annotations

import importlib
import os
import sys
from configparser import ConfigParser
from pathlib import Path

from sqlalchemy import MetaData

from tijolo.db._url import parse_url
from tijolo.db.migrations.errors import MigrationError

_ENV = '''\
"""Alembic runs this file for every command."""

from {module} import {name}
from tijolo.db.migrations import (
    compose_hooks,
    refuse_empty_revisions,
    reorder_base_columns_first,
    run_migrations,
)

run_migrations(
    {name},
    process_revision_directives=compose_hooks(reorder_base_columns_first, refuse_empty_revisions),
)
'''

_NO_MODULE = "# Import your models here: the metadata knows only what was imported.\n"


_REVISION = '''\
"""${message}

Revision: ${up_revision}
After: ${down_revision | comma,n}
Written: ${create_date}
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''

_SECTION = """\
[{section}]
script_location = {location}
prepend_sys_path = %(here)s
path_separator = os
# Used when the environment names no database. Never with a password: set DATABASE_URL instead.
sqlalchemy.url = {url}
"""


def scaffold(
    config_path: Path, *, section: str, directory: str, module: str | None, name: str, url: str
) -> None:
    """Write ``env.py``, the revision template, ``versions/`` and the ini section.

    Raises:
        MigrationError: Something of it is there already, ``url`` has a password, or ``module``
            has no metadata called ``name``.
    """
    target = Path(directory)
    if target.exists() and any(target.iterdir()):
        raise MigrationError(f"{directory!r} is not empty; nothing was written")
    if module is not None:
        _refuse_without_metadata(module, name, config_path.absolute().parent)
    ini = _ini(config_path, section=section, target=target, url=url)
    (target / "versions").mkdir(parents=True)
    (target / "env.py").write_text(_env(module, name), encoding="utf-8")
    (target / "script.py.mako").write_text(_REVISION, encoding="utf-8")
    config_path.parent.mkdir(parents=True, exist_ok=True)
    with config_path.open("a", encoding="utf-8") as file:
        file.write(ini)


def _refuse_without_metadata(module: str, name: str, directory: Path) -> None:
    """``env.py`` would fail with every command; here it is said at once."""
    sys.path.insert(0, str(directory))  # where the ini file lets env.py look
    try:
        found: object = importlib.import_module(module)
    except ImportError as exc:
        raise MigrationError(
            f"{module!r} cannot be imported from {str(directory)!r}: {exc}; nothing was written"
        ) from exc
    finally:
        sys.path.remove(str(directory))
    base = getattr(found, name, None)
    if not isinstance(getattr(base, "metadata", base), MetaData):
        raise MigrationError(
            f"{module!r} has no declarative base or MetaData called {name!r}; import it there, or"
            " name another one with --attr (metadata_attr); nothing was written"
        )


def _env(module: str | None, name: str) -> str:
    text = _ENV.format(module=module or "tijolo.db", name=name)
    return text if module else text.replace("\nrun_migrations(", f"\n{_NO_MODULE}run_migrations(")


def _ini(config_path: Path, *, section: str, target: Path, url: str) -> str:
    exists = config_path.exists()
    if exists:
        parser = ConfigParser(interpolation=None)
        parser.read(config_path, encoding="utf-8")
        if parser.has_section(section):
            raise MigrationError(
                f"{str(config_path)!r} has a section {section!r} already; nothing was written"
            )
    if parse_url(url).password is not None:
        raise MigrationError(
            "the ini file is not a place for a password; write the URL without it, or leave it out"
            " and set DATABASE_URL"
        )
    text = _SECTION.format(
        section=section, location=_location(config_path, target), url=url.replace("%", "%%")
    )
    return f"\n{text}" if exists else text


def _location(config_path: Path, target: Path) -> str:
    if target.is_absolute():
        return target.as_posix().replace("%", "%%")
    relative = os.path.relpath(target.absolute(), config_path.absolute().parent)
    return "%(here)s/" + Path(relative).as_posix().replace("%", "%%")
