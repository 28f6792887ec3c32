"""Ports for servers of benchmarks."""

from __future__ import annotations

import socket
import time


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Until somebody listens there.

    Raises:
        RuntimeError: Nobody does after a minute.
    """
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"no server on port {port}")
