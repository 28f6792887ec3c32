"""Where verifying keys come from, and the ring of an issuer's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from tijolo.auth.keys import KeyStage, TokenKey

_MAX_KEYS = 100


class KeySource(Protocol):
    """Where verifying keys come from: a :class:`KeyRing`, or a ``JWKSClient``."""

    def version(self) -> int:
        """A number that changes with the set of keys."""
        ...

    def find(self, kid: str | None, algorithm: str) -> TokenKey | None:
        """The key of that id and algorithm that verifies now; without an id, the only one."""
        ...

    async def refresh(self) -> bool:
        """Ask for newer keys, if that is possible and not too soon; whether there are some."""
        ...


class KeyRing:
    """The keys of one issuer, in their stages.

    To change keys: add the new one with ``signs_from`` a cache lifetime ahead, let the old one
    sign until then, and drop it when its last token has expired. Nothing restarts in between.

    Args:
        keys: At least one, each with an id of its own.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for no keys, too many, or two with the same id.
    """

    def __init__(self, keys: Iterable[TokenKey], *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._version = 0
        self._keys: dict[str, TokenKey] = {}
        self.replace(keys)

    def __repr__(self) -> str:
        return f"KeyRing({list(self._keys.values())})"

    @property
    def keys(self) -> tuple[TokenKey, ...]:
        """All of them, retired ones too."""
        return tuple(self._keys.values())

    def replace(self, keys: Iterable[TokenKey]) -> None:
        """Take other keys from now on, for instance after the secret store was read again.

        Raises:
            ValueError: as the constructor; the keys then stay as they were.
        """
        given = list(keys)
        by_kid = {key.kid: key for key in given}
        if not given or len(given) > _MAX_KEYS:
            raise ValueError(f"a key ring holds 1 to {_MAX_KEYS} keys, got {len(given)}")
        if len(by_kid) != len(given):
            raise ValueError(f"two keys share an id: {sorted(key.kid for key in given)}")
        self._keys = by_kid
        self._version += 1

    def signing_key(self) -> TokenKey:
        """The key for new tokens: of those that sign now, the one that began last.

        Raises:
            RuntimeError: when none signs now.
        """
        now = self._clock()
        able = [
            key
            for key in self._keys.values()
            if key.signer is not None and key.schedule.stage(now) is KeyStage.SIGNING
        ]
        if not able:
            stages = {key.kid: key.schedule.stage(now).value for key in self._keys.values()}
            raise RuntimeError(f"no key signs now; the stages are {stages}")
        return max(enumerate(able), key=lambda item: (_begin(item[1]), item[0]))[1]

    def published(self) -> list[TokenKey]:
        """The keys that belong into the JWKS: asymmetric ones that are not retired."""
        now = self._clock()
        return [
            key
            for key in self._keys.values()
            if not key.is_symmetric and key.schedule.stage(now) is not KeyStage.RETIRED
        ]

    def version(self) -> int:
        """Counts the calls of :meth:`replace`."""
        return self._version

    def find(self, kid: str | None, algorithm: str) -> TokenKey | None:
        """The key of that id and algorithm that verifies now; without an id, the only one."""
        return find_key(self._keys, kid, algorithm, self._clock())

    async def refresh(self) -> bool:
        """False: these keys are all there are."""
        return False


def find_key(
    keys: Mapping[str, TokenKey], kid: str | None, algorithm: str, now: float
) -> TokenKey | None:
    """The key of ``keys`` that a header means; never one of another algorithm."""
    if kid is not None:
        key = keys.get(kid)
        fits = key is not None and key.algorithm == algorithm and now < key.verifies_until
        return key if fits else None
    fitting = [k for k in keys.values() if k.algorithm == algorithm and now < k.verifies_until]
    return fitting[0] if len(fitting) == 1 else None


def _begin(key: TokenKey) -> float:
    begin = key.schedule.signs_from
    return float("-inf") if begin is None else begin.timestamp()
