"""Test helpers for tijolo's packages and for services built on them."""

from __future__ import annotations

from tijolo.core.testing.settings import assert_settings_read

__all__ = ["assert_settings_read"]
