from __future__ import annotations

import json
import logging
import uuid

import pytest

from tijolo.core import clear_request_id, set_request_id, user_id_ctx
from tijolo.observability import JSONFormatter, TextFormatter
from tijolo.observability.log_queue import LogQueueHandler
from tijolo.observability.records import FIELDS_ATTRIBUTE
from tijolo.observability.redaction import DEFAULT_REDACTOR


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def logger(kept):
    made = logging.Logger("app")
    made.addHandler(LogQueueHandler([kept], capacity=0, redactor=DEFAULT_REDACTOR))
    return made


def shown(kept) -> dict:
    (record,) = kept.records
    assert TextFormatter().format(record)
    return json.loads(JSONFormatter().format(record))


class Raising:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


class RaisingItems(dict):
    def items(self):
        raise RuntimeError


class Faceless:
    @property
    def __class__(self):
        raise RuntimeError


class Template(str):
    __slots__ = ()

    def __mod__(self, arguments):
        return None

    def __str__(self):
        return self


@pytest.mark.parametrize(
    ("message", "arguments", "expected"),
    [
        ("%(a)s", [{Raising(): 1, "a": "s"}], "s"),
        ("login %s", [RaisingItems(password="hunter2")], "login %s [arguments that do not fit: "),
        (Template("a %s"), ["b"], "a b"),
        (Template("a"), [], "a"),
        (Raising(), [], "<unprintable Raising object>"),
    ],
)
def test_no_message_and_no_arguments_lose_the_record(
    kept, logger, capsys, message, arguments, expected
):
    logger.info(message, *arguments)
    seen = shown(kept)["message"]
    assert seen.startswith(expected)
    assert "hunter2" not in seen
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"a": Faceless()}, {"a": "<unprintable Faceless object>"}),
        ({"tijolo_fields": "text"}, {"tijolo_fields": "text"}),
        (
            {"tijolo_fields": RaisingItems(a=1)},
            {"tijolo_fields": "<unprintable RaisingItems object>"},
        ),
        ({"tijolo_content": "text"}, {}),
    ],
)
def test_no_field_loses_the_record(kept, logger, extra, expected):
    logger.info("said", extra=extra)
    seen = shown(kept)
    assert seen["message"] == "said"
    assert {name: seen.get(name) for name in expected} == expected


@pytest.mark.parametrize("exc_info", [(5, 5, 5), (1,), (None, 5, None), (ValueError, None, None)])
def test_no_malformed_exception_loses_the_record(kept, logger, exc_info):
    logger.error("said", exc_info=exc_info)
    assert shown(kept)["message"] == "said"


@pytest.mark.parametrize("value", [5, uuid.UUID(int=5), Raising()])
def test_an_id_that_is_no_text_is_shown_as_text(kept, logger, value):
    token = user_id_ctx.set(value)
    try:
        logger.info("said")
    finally:
        user_id_ctx.reset(token)
    expected = "<unprintable Raising object>" if isinstance(value, Raising) else str(value)
    assert shown(kept)["user_id"] == expected


def test_a_failure_to_read_a_record_is_reported_without_what_the_record_holds(capsys):
    class Unwritable(LogQueueHandler):
        def _write(self, record):
            raise OSError("no room")

    logger = logging.Logger("app")
    logger.addHandler(Unwritable([], capacity=0, redactor=DEFAULT_REDACTOR))
    secret = f"hunter{2}"  # not in the source lines that are reported too
    logger.error("login %s", secret, extra={"n": 1})
    reported = capsys.readouterr().err
    assert "no room" in reported
    assert "hunter2" not in reported


def test_the_request_id_that_a_filter_put_on_the_record_is_not_repeated(kept, logger):
    logger.addFilter(lambda record: record.__dict__.setdefault("request_id", "req-1") or True)
    token = set_request_id("req-1")
    try:
        logger.info("said", extra={"n": 1})
    finally:
        clear_request_id(token)
    seen = shown(kept)
    assert (seen["request_id"], seen["n"]) == ("req-1", 1)
    assert "extra_request_id" not in seen
    assert kept.records[0].request_id == "req-1"


def test_an_absent_request_id_on_the_record_is_no_field(kept, logger):
    logger.info("said", extra={"request_id": None})
    assert {"request_id", "extra_request_id"}.isdisjoint(shown(kept))


def test_another_request_id_than_that_of_the_context_is_kept_as_a_field(kept, logger):
    logger.info("said", extra={"request_id": "of another"})
    assert shown(kept)["extra_request_id"] == "of another"


def test_a_request_id_among_the_named_fields_is_a_field(kept, logger):
    logger.info("said", extra={FIELDS_ATTRIBUTE: {"request_id": None}})
    assert shown(kept)["extra_request_id"] is None
