from __future__ import annotations

import tijolo.cache


def test_every_public_name_is_there() -> None:
    assert all(hasattr(tijolo.cache, name) for name in tijolo.cache.__all__)
