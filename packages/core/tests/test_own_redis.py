"""A server of one test's own."""

import contextlib
import socket

import pytest

from tijolo.core.testing.pytest_own_redis import OwnRedis


def ask(server, command, timeout=10):
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        connection.sendall(command + b"\r\n")
        return connection.recv(100)


def test_it_is_started_again_on_its_port_and_has_forgotten(own_redis):
    assert ask(own_redis, b"SET a 1") == b"+OK\r\n"
    own_redis.kill()
    with pytest.raises(ConnectionRefusedError):
        ask(own_redis, b"PING")
    own_redis.start()
    assert ask(own_redis, b"GET a") == b"$-1\r\n"


def test_a_frozen_server_accepts_and_says_nothing(own_redis):
    own_redis.freeze()
    with pytest.raises(TimeoutError):
        ask(own_redis, b"PING", timeout=0.2)
    own_redis.thaw()
    assert ask(own_redis, b"PING") == b"+PONG\r\n"


def test_several_have_their_own_options(make_redis):
    first, second = make_redis(), make_redis("--maxmemory", "5mb")
    assert first.port != second.port
    assert b"5242880" in ask(second, b"CONFIG GET maxmemory")
    assert b"5242880" not in ask(first, b"CONFIG GET maxmemory")


def test_a_server_that_does_not_start_says_so(monkeypatch):
    monkeypatch.setattr("tijolo.core.testing.pytest_own_redis._PATIENCE_SECONDS", 0.2)
    server = OwnRedis("--no-such-option", "yes")
    with contextlib.suppress(FileNotFoundError), pytest.raises(RuntimeError, match="did not start"):
        server.start()
    with pytest.raises(RuntimeError, match="was not started"):
        server.freeze()
