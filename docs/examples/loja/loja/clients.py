"""Clients of Redis for log-ins and the attempts at them."""

from __future__ import annotations

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tijolo.web.redis import redis_client


class RedisClients:
    """A resource: what the stores use is closed with the service."""

    def __init__(self) -> None:
        self._all: list[Redis] = []

    def open(self, url: SecretStr) -> Redis:
        """A client, which connects when it is first used."""
        self._all.append(redis_client(url.get_secret_value()))
        return self._all[-1]

    async def connect(self) -> None:
        """Nothing to do: they connect by themselves."""

    async def disconnect(self) -> None:
        """Close their connections."""
        for client in self._all:
            await client.aclose()

    async def health_check(self) -> bool:
        """Whether all answer; true where there is none."""
        try:
            return all([await client.ping() for client in self._all])
        except (RedisError, OSError, TimeoutError):
            return False
