from __future__ import annotations

import tijolo.http


def test_every_public_name_is_there() -> None:
    assert all(hasattr(tijolo.http, name) for name in tijolo.http.__all__)
