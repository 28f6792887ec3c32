"""Results kept in memory, SQLite or Redis; a cache that is down means slower, never wrong."""

from __future__ import annotations

from tijolo.cache._compat import COMPAT as _COMPAT
from tijolo.cache._version import __version__
from tijolo.core.compat import enforce as _enforce

_enforce(_COMPAT, __version__)

from tijolo.cache.backends import Backend, Snapshot
from tijolo.cache.cache import Cache
from tijolo.cache.codecs import Codec, FunctionCodec, TypedCodec, UnfaithfulValueError
from tijolo.cache.decorator import BoundFunction, CachedFunction, cached
from tijolo.cache.errors import (
    BackendRefusedError,
    BackendUnavailableError,
    NotConnectedError,
    UnkeyableArgumentError,
)
from tijolo.cache.memory import MemoryBackend
from tijolo.cache.policy import CachePolicy
from tijolo.cache.settings import CacheSettings, RedisSettings
from tijolo.cache.sqlite import SQLiteBackend
from tijolo.cache.stats import CacheEvent, CacheStats, Observer

__all__ = [
    "Backend",
    "BackendRefusedError",
    "BackendUnavailableError",
    "BoundFunction",
    "Cache",
    "CacheEvent",
    "CachePolicy",
    "CacheSettings",
    "CacheStats",
    "CachedFunction",
    "Codec",
    "FunctionCodec",
    "MemoryBackend",
    "NotConnectedError",
    "Observer",
    "RedisSettings",
    "SQLiteBackend",
    "Snapshot",
    "TypedCodec",
    "UnfaithfulValueError",
    "UnkeyableArgumentError",
    "__version__",
    "cached",
]
