"""The tables of the second factor, once for all files of tests."""

from functools import cache
from types import SimpleNamespace

import pytest


@cache
def _models(user):
    from tijolo.auth.mfa import make_recovery_code_model, make_totp_model

    return SimpleNamespace(totp=make_totp_model(user), codes=make_recovery_code_model(user))


@pytest.fixture
def models(names):
    return _models(names.User)
