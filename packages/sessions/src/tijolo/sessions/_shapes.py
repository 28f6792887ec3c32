"""What ``SessionAuth`` is given and cannot use, refused before a request needs it."""

from __future__ import annotations

import inspect

from tijolo.sessions.store import SessionStore

_STEPS = [name for name in vars(SessionStore) if not name.startswith("_")]


def check_store(store: object) -> None:
    """Refuse what lacks a step of ``SessionStore``.

    Raises:
        TypeError: naming what is missing.
    """
    if isinstance(store, type):
        raise TypeError(f"store must be a SessionStore, got the class {store.__name__}; call it")
    missing = [name for name in _STEPS if not callable(getattr(store, name, None))]
    if missing:
        raise TypeError(
            f"store must be a SessionStore, such as MemorySessionStore(), and"
            f" {type(store).__name__} has no {', '.join(missing)}"
        )


def check_verifier(verifier: object) -> None:
    """Refuse what has no ``async def authenticate``; None is no verifier.

    Raises:
        TypeError: saying what is expected.
    """
    if verifier is None:
        return
    found = getattr(verifier, "authenticate", None)
    # other callables may well return something to wait for
    is_sync = inspect.isroutine(found) and not inspect.iscoroutinefunction(found)
    if isinstance(verifier, type) or is_sync or not callable(found):
        got = (
            f"the class {verifier.__name__}"
            if isinstance(verifier, type)
            else type(verifier).__name__
        )
        raise TypeError(
            "verifier must be an object with `async def authenticate(self, session, *, email,"
            f" password)`, got {got}"
        )
