"""The table of API keys, once for all files of tests."""

from functools import cache

import pytest


@cache
def _model(user):
    from tijolo.auth.api_keys import make_api_key_model

    return make_api_key_model(user)


@pytest.fixture
def model(names):
    return _model(names.User)
