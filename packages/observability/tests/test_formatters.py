from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import logging
import sys
import threading
import uuid
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from tijolo.core import clear_request_id, clear_user_id, set_request_id, set_user_id
from tijolo.observability import JSONFormatter, TextFormatter
from tijolo.observability.formatters import RESERVED_KEYS
from tijolo.observability.records import FIELDS_ATTRIBUTE

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.datetimes()
    | st.decimals()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.integers() | st.tuples(st.integers()), inner, max_size=4
        )
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=12,
)
field_names = st.text(max_size=8) | st.sampled_from(sorted(RESERVED_KEYS | {"name", "args", "msg"}))


def record(message="hello", *args, level=logging.INFO, exc_info=None, **fields):
    made = logging.LogRecord("app.x", level, "/srv/app/x.py", 7, message, args, exc_info, "run")
    setattr(made, FIELDS_ATTRIBUTE, fields.pop(FIELDS_ATTRIBUTE, fields))
    return made


def as_json(made, **options):
    line = JSONFormatter(**options).format(made)
    assert len(line.splitlines()) == 1

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(line.encode(), parse_constant=refuse)


@given(st.text(st.characters(codec=None)), st.dictionaries(field_names, anything, max_size=5))
def test_every_record_is_one_line_of_valid_json_with_its_reserved_keys_intact(message, fields):
    made = record(message, **{FIELDS_ATTRIBUTE: fields})
    seen = as_json(made)
    assert seen["timestamp"].endswith("Z")
    assert datetime.datetime.fromisoformat(seen["timestamp"]).timestamp() == pytest.approx(
        made.created, abs=1.1e-3
    )
    assert [seen[k] for k in ("level", "logger", "module", "function", "line")] == [
        "INFO",
        "app.x",
        "x",
        "run",
        7,
    ]
    assert not {"request_id", "user_id", "trace_id", "exception"} & seen.keys()
    for name in fields:
        if name in RESERVED_KEYS:
            assert f"extra_{name}" in seen


@given(st.text(st.characters(codec=None)), st.dictionaries(field_names, anything, max_size=5))
def test_a_text_record_is_one_line_without_control_characters(message, fields):
    line = TextFormatter().format(record(message, **{FIELDS_ATTRIBUTE: fields}))
    assert len(line.splitlines()) == 1
    assert not [c for c in line if ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000]


@given(st.text(st.characters(codec=None)))
def test_below_the_first_line_of_a_text_record_everything_is_indented(text):
    try:
        raise ValueError(text)
    except ValueError:
        line = TextFormatter().format(record(exc_info=sys.exc_info()))
    assert all(below.startswith("    ") for below in line.splitlines()[1:])


def test_a_clash_is_prefixed_until_it_is_none():
    fields = {"level": "forged", "extra_level": "mine", "timestamp": "1", "request_id": "x"}
    seen = as_json(record(**{FIELDS_ATTRIBUTE: fields}))
    assert seen["level"] == "INFO"
    assert seen["extra_level"] == "mine"
    assert seen["extra_extra_level"] == "forged"
    assert seen["extra_timestamp"] == "1"
    assert seen["extra_request_id"] == "x"
    assert "request_id" not in seen


def test_fields_of_extra_are_fields_too():
    logger = logging.Logger("app.y")
    made = logger.makeRecord(
        "app.y", 20, "y.py", 1, "m", (), None, extra={"order": 5, "level": "x"}
    )
    seen = as_json(made)
    assert (seen["order"], seen["level"], seen["extra_level"]) == (5, "INFO", "x")


class Color(Enum):
    RED = "red"


@dataclasses.dataclass
class Account:
    name: str
    password: str
    hidden: str = dataclasses.field(default="h", repr=False)


class Model(BaseModel):
    name: str
    token: str
    key: SecretStr


class Unprintable:
    def __repr__(self):
        raise RuntimeError


class Subclass(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError


class BadDict(dict):
    def items(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Color.RED, "red"),
        (Account("a", "hunter2"), {"name": "a", "password": "***"}),
        (
            Model(name="m", token="hunter2", key="hunter2"),
            {"name": "m", "token": "***", "key": "**********"},
        ),
        (Unprintable(), "<unprintable Unprintable object>"),
        (BadDict(), "<unprintable BadDict object>"),
        (Subclass("s"), "s"),
        (b"a\xff", "a\\xff"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (10**5000, None),
        (
            {1: "a", "1": "b", (1, 2): "c", b"k": "d"},
            {"1": "a", "1_2": "b", "(1, 2)": "c", "k": "d"},
        ),
        ("a\udcffb", "a\\udcffb"),
        (datetime.date(2026, 7, 1), "2026-07-01"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.50"), "1.50"),
        (ValueError("password=hunter2"), "password=***"),
        (
            {"authorization": "x", "deep": [{"apiKey": "hunter2"}]},
            {"authorization": "***", "deep": [{"apiKey": "***"}]},
        ),
        ("postgres://u:hunter2@h/d", "postgres://***@h/d"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_becomes_json_and_gives_no_secret_away(value, expected):
    seen = as_json(record(value=value))["value"]
    assert "hunter2" not in repr(seen)
    if expected is not None:
        assert seen == expected


def test_cycles_and_depth_are_cut():
    cycle: dict[str, object] = {"n": 1}
    cycle["self"] = cycle
    twice = [1]
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    seen = as_json(record(cycle=cycle, both=[twice, twice], deep=deep))
    assert seen["cycle"] == {"n": 1, "self": "[circular]"}
    assert seen["both"] == [[1], [1]]
    assert "[truncated]" in repr(seen["deep"])


def test_a_record_is_bounded_and_a_secret_on_the_cut_does_not_leak():
    big = {
        "text": "x" * 10_000_000,
        "list": list(range(1_000_000)),
        "nest": [["y" * 1000] * 1000] * 9,
    }
    assert len(JSONFormatter().format(record("m" * 10_000_000, **big))) < 400_000
    for length in range(65_500, 65_540):
        line = JSONFormatter().format(record("x" * length + " postgres://u:hunter2@host/db"))
        assert "hunter" not in line


def test_arguments_that_do_not_fit_lose_nothing():
    seen = as_json(record("%d items of %s", "many"))
    assert seen["message"] == "%d items of %s [arguments that do not fit: ['many']]"
    assert "hunter2" not in as_json(record("%d", {"password": "hunter2"}, 1))["message"]


def test_secrets_in_messages_arguments_and_exceptions_are_hidden():
    try:
        try:
            raise OSError("postgres://u:hunter2@h/d")
        except OSError as exc:
            raise ValueError("token=hunter2") from exc
    except ValueError:
        made = record(
            "%(password)s of %(who)s",
            {"password": "hunter2", "who": "bob"},
            exc_info=sys.exc_info(),
        )
    for line in (JSONFormatter().format(made), TextFormatter().format(made)):
        assert "hunter2" not in line
        assert "*** of bob" in line
        assert "ValueError: token=***" in line


def test_an_exception_that_cannot_be_printed_is_named():
    class NastyError(Exception):
        def __str__(self):
            raise RuntimeError

    try:
        raise NastyError
    except NastyError:
        made = record(exc_info=sys.exc_info())
    assert "NastyError" in as_json(made)["exception"]


def test_request_and_user_ids_are_those_of_the_context():
    request, user = set_request_id("req-1"), set_user_id("user-1")
    try:
        seen = as_json(record())
        text = TextFormatter().format(record())
    finally:
        clear_request_id(request)
        clear_user_id(user)
    assert (seen["request_id"], seen["user_id"]) == ("req-1", "user-1")
    assert "request_id=req-1 user_id=user-1" in text


def test_the_current_span_is_named():
    trace = pytest.importorskip("opentelemetry.trace")
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        seen = as_json(record())
    assert (seen["trace_id"], seen["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


def test_text_is_kept_readable_or_escaped_as_the_output_needs():
    made = record("ação\u2028\x85 \x1b[31m")
    assert "ação" in JSONFormatter().format(made)
    ascii_line = JSONFormatter(ascii_only=True).format(made)
    assert ascii_line.isascii()
    assert json.loads(ascii_line) == as_json(made)
    assert "ação\\u2028\\u0085 \\u001b[31m" in TextFormatter().format(made)


def test_only_a_terminal_gets_colours():
    assert "\x1b[31mERROR   \x1b[0m" in TextFormatter(color=True).format(
        record(level=logging.ERROR)
    )
    assert "\x1b" not in TextFormatter().format(record(level=logging.ERROR))


def test_concurrent_changes_to_a_field_lose_no_record():
    shared = {str(n): n for n in range(1000)}
    stop = threading.Event()

    def change():
        n = 0
        while not stop.is_set():
            n += 1
            shared[f"k{n % 5000}"] = n
            shared.pop(f"k{(n - 100) % 5000}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(50):
            assert isinstance(as_json(record(shared=shared))["shared"], dict)
    finally:
        stop.set()
        thread.join()
