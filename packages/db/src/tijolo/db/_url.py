"""Database URLs: drivers by default, credentials never shown."""

from __future__ import annotations

from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
}
SYNC_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_ASYNC_NAMES = {"aiosqlite", "asyncpg", "asyncmy", "aiomysql"}
_SYNCHRONOUS = frozenset({"psycopg", "pymysql"})
_EXTRAS = {"sqlite": "sqlite", "postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SECRET_WORDS = ("pass", "pwd", "secret", "token", "key")


def parse_url(url: str | URL | SecretStr) -> URL:
    """The URL as an object; ValueError, without the text, when it is not one."""
    if isinstance(url, URL):
        return url
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    try:
        parsed = make_url(text)
        parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise ValueError(
            "the database URL cannot be parsed; expected dialect+driver://user:password@host/name"
            " (not shown here: it may hold a password)"
        ) from None
    if parsed.get_backend_name() not in ASYNC_DRIVERS:
        raise ValueError(
            f"unsupported database {parsed.get_backend_name()!r}; use one of"
            f" {', '.join(sorted(ASYNC_DRIVERS))}"
        )
    return parsed


def for_async(url: URL) -> URL:
    """``url`` with an async driver; a driver that was named and is async stays."""
    return _with_ssl_spelled(_with_driver(url, ASYNC_DRIVERS, wants_async=True))


def for_sync(url: URL) -> URL:
    """``url`` with a synchronous driver."""
    return _with_ssl_spelled(_with_driver(url, SYNC_DRIVERS, wants_async=False))


def _with_driver(url: URL, drivers: dict[str, str], *, wants_async: bool) -> URL:
    _, _, driver = url.drivername.partition("+")
    if driver and driver != "psycopg" and (driver in _ASYNC_NAMES) is wants_async:
        return url
    if driver == "psycopg":  # speaks both
        return url
    return url.set(drivername=drivers[url.get_backend_name()])


def _with_ssl_spelled(url: URL) -> URL:
    """libpq's ``sslmode`` is asyncpg's ``ssl``, with the same values; either is understood."""
    wanted = {"asyncpg": "ssl", "psycopg": "sslmode"}.get(url.get_driver_name())
    given = {url.query[name] for name in ("ssl", "sslmode") if name in url.query}
    if wanted is None or not given:
        return url
    mode = given.pop()
    if given or mode not in _SSL_MODES:
        raise ValueError(
            "the database URL has an unknown sslmode, or two that differ; expected one of"
            f" {', '.join(_SSL_MODES)}"
        )
    return url.difference_update_query(["ssl", "sslmode"]).update_query_dict({wanted: mode})


def extra_of(url: URL) -> str:
    """The extra of tijolo-db that brings a driver for ``url``."""
    driver = url.get_driver_name()
    return driver if driver in _SYNCHRONOUS else _EXTRAS[url.get_backend_name()]


def is_memory(url: URL) -> bool:
    """Whether ``url`` names SQLite's database in memory."""
    return url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}


def shared_memory(url: URL, name: str) -> URL:
    """A database in memory that several connections of this process share."""
    return url.set(
        database=f"file:{name}", query={"mode": "memory", "cache": "shared", "uri": "true"}
    )


def is_shared_memory(url: URL) -> bool:
    """Whether :func:`shared_memory` made ``url``."""
    return url.get_backend_name() == "sqlite" and url.query.get("mode") == "memory"


def redacted(url: URL) -> str:
    """``url`` as text without its password, also where a query argument carries one."""
    query = {
        key: "***" if any(word in key.lower() for word in _SECRET_WORDS) else value
        for key, value in url.query.items()
    }
    return url.set(query=query).render_as_string(hide_password=True)
