from __future__ import annotations

import logging

import pytest

from tijolo.observability import configure_logging, stop_logging, unify_loggers


@pytest.fixture
def access_log():
    logger = logging.getLogger("uvicorn.access")
    before = (logger.handlers[:], logger.propagate)
    yield logger
    logger.handlers, logger.propagate = before
    stop_logging()


def test_an_access_log_that_was_switched_off_stays_off(access_log):
    access_log.handlers, access_log.propagate = [], False

    configure_logging()
    unify_loggers()

    assert access_log.propagate is False


def test_an_access_log_with_a_handler_of_its_own_joins_the_others(access_log):
    access_log.handlers, access_log.propagate = [logging.NullHandler()], False

    configure_logging()

    assert (access_log.handlers, access_log.propagate) == ([], True)
