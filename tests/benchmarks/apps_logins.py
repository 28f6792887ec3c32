"""One application: a route that does nothing, and logins hashed in three places."""

# No `from __future__ import annotations`: the routes name local dependencies.
import asyncio

import bcrypt
from fastapi import FastAPI

from tijolo.auth import HashService, PasswordUtils

_PASSWORD = "uma senha qualquer"
_ROUNDS = 12


def app() -> FastAPI:
    """Made in the server's process."""
    application = FastAPI()
    passwords = PasswordUtils(rounds=_ROUNDS)
    hashing = HashService(passwords)
    hashed = passwords.hash(_PASSWORD)
    raw = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(_ROUNDS))

    @application.get("/ping")
    async def ping() -> str:
        return "pong"

    @application.get("/service")
    async def service() -> bool:
        return await hashing.verify(_PASSWORD, hashed)

    @application.get("/loop")
    async def loop() -> bool:
        return bcrypt.checkpw(_PASSWORD.encode(), raw)

    @application.get("/threads")
    async def threads() -> bool:
        return await asyncio.to_thread(bcrypt.checkpw, _PASSWORD.encode(), raw)

    return application
