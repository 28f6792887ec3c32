"""For tests: the suite that every ``RevocationStore`` passes, one of your own included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tijolo.auth.principal import Principal
from tijolo.auth.revocation import RevocationStore

__all__ = ["RevocationStoreContract"]

_MAX_EPOCH = 2**53 - 1
_NAMES = ["é ", "a:b", "x" * 10_000, "\n", "*", "\ud800"]


class RevocationStoreContract:
    """Inherit it with two fixtures: ``store``, empty, and ``clock``, the seconds it goes by."""

    async def test_nothing_is_revoked_at_first(self, store: RevocationStore) -> None:
        """Nor does asking change that."""
        await _expect(store, revoked=False)
        await _expect(store, revoked=False)

    async def test_a_token_is_revoked_and_no_other(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """By its ``jti``."""
        await store.revoke_token("t1", expires_at=clock() + 60)
        await _expect(store, revoked=True)
        await _expect(store, revoked=False, token_id="t2")  # noqa: S106 - an id

    async def test_a_session_ends_with_all_its_tokens(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """By its ``sid``; a token without one has none that could end."""
        await store.revoke_session("s1", expires_at=clock() + 60)
        await _expect(store, revoked=True, token_id="t2")  # noqa: S106
        await _expect(store, revoked=False, session_id="s2")
        await _expect(store, revoked=False, session_id=None)

    async def test_an_epoch_ends_all_older_tokens(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """Of that subject."""
        await store.revoke_before_epoch("7", 3, expires_at=clock() + 60)
        for epoch, revoked in ((0, True), (2, True), (3, False), (4, False)):
            await _expect(store, revoked=revoked, epoch=epoch)
        await _expect(store, revoked=False, subject="8")

    async def test_an_epoch_is_never_lowered(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """By a call that comes late."""
        await store.revoke_before_epoch("7", 5, expires_at=clock() + 60)
        await store.revoke_before_epoch("7", 3, expires_at=clock() + 60)
        await _expect(store, revoked=True, epoch=4)

    async def test_kinds_do_not_mix(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """The id of one is not the id of another."""
        await store.revoke_token("s1", expires_at=clock() + 60)
        await store.revoke_session("7", expires_at=clock() + 60)
        await store.revoke_before_epoch("t1", 9, expires_at=clock() + 60)
        await _expect(store, revoked=False)

    async def test_a_revocation_that_is_over_is_not_stored(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """The token has expired anyway."""
        await store.revoke_token("t1", expires_at=clock() - 1)
        await _expect(store, revoked=False)

    async def test_racing_epochs_leave_the_highest(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """Whichever comes last."""
        await asyncio.gather(
            *(store.revoke_before_epoch("7", n, expires_at=clock() + 60) for n in range(1, 31))
        )
        await _expect(store, revoked=True, epoch=29)
        await _expect(store, revoked=False, epoch=30)

    async def test_ids_of_any_text(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """Huge, with separators, not even Unicode."""
        for name in _NAMES:
            await store.revoke_session(name, expires_at=clock() + 60)
        for name in _NAMES:
            await _expect(store, revoked=True, session_id=name)
        await _expect(store, revoked=False, session_id="a")

    async def test_no_name_is_not_everybody_without_one(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """A token without ``jti`` is not the same as the next one without."""
        await _expect_refusal(store.revoke_token("", expires_at=clock() + 60))
        await _expect_refusal(store.revoke_session("", expires_at=clock() + 60))
        await _expect_refusal(store.revoke_before_epoch("", 1, expires_at=clock() + 60))
        await _expect(store, revoked=False, token_id="", session_id=None)

    async def test_the_largest_epoch_is_kept_exactly(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """``2**53 - 1``, what JSON and Lua keep exactly."""
        await store.revoke_before_epoch("7", _MAX_EPOCH, expires_at=clock() + 60)
        await _expect(store, revoked=True, epoch=_MAX_EPOCH - 1)
        await _expect(store, revoked=False, epoch=_MAX_EPOCH)

    async def test_what_is_no_epoch_is_refused(
        self, store: RevocationStore, clock: Callable[[], float]
    ) -> None:
        """A user with such a one could not be asked about any more."""
        wrong: list[Any] = [-1, _MAX_EPOCH + 1, 10**18, True, 1.0, "3", None]
        for epoch in wrong:
            await _expect_refusal(store.revoke_before_epoch("7", epoch, expires_at=clock() + 60))
        await _expect(store, revoked=False)

    async def test_what_is_no_moment_is_refused(self, store: RevocationStore) -> None:
        """Whoever compares with it would be told anything."""
        wrong: list[Any] = [float("nan"), float("inf"), 1e300, 10**400, None]
        for moment in wrong:
            await _expect_refusal(store.revoke_token("t1", expires_at=moment))


async def _expect_refusal(call: Awaitable[None]) -> None:
    try:
        await call
    except ValueError:
        return
    raise AssertionError("should be a ValueError")


async def _expect(store: RevocationStore, *, revoked: bool, **changes: Any) -> None:
    given: dict[str, Any] = {"subject": "7", "token_id": "t1", "session_id": "s1", **changes}
    if await store.is_revoked(Principal(**given), "") is not revoked:
        raise AssertionError(f"{given} should {'' if revoked else 'not '}be revoked")
