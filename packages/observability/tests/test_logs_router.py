"""The logs endpoint: what it shows, to whom, and what it does with hostile questions."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from datetime import UTC, datetime

import pytest

from tijolo.core import OpsAccess, clear_request_id, set_request_id
from tijolo.observability import (
    LogBuffer,
    LogEntrySchema,
    LogUtils,
    configure_logging,
    make_logs_router,
    stop_logging,
)
from tijolo.observability.log_entries import LogFilter
from tijolo.observability.log_files import HTTP_500_LOG_FILE, LEVEL_LOG_FILES

TOKEN = "the-token-of-our-operators"
ACCESS = OpsAccess(token=TOKEN)
OPEN = OpsAccess(allow_anonymous=True)


@pytest.fixture(autouse=True)
def logging_undone():
    yield
    stop_logging()


def next_millisecond():
    """Records of one millisecond in different files have no order."""
    time.sleep(0.002)


def write_log(**options):
    """What a service logs in one request and outside of it."""
    configure_logging("DEBUG", logger_name="shop", stdout=False, **options)
    log = LogUtils("shop.orders")
    token = set_request_id("request-1")
    log.info("order created", order=5, card_token="tok_123")
    next_millisecond()
    log.logger.error("payment failed", extra={"http_500": True})
    clear_request_id(token)
    next_millisecond()
    log.debug("cache warm")
    next_millisecond()
    log.warning("postgresql://app:hunter2@db is slow")
    stop_logging()


@pytest.fixture(params=["files", "text files", "memory"])
def router(request, tmp_path):
    """A router over the same records, wherever they are kept."""
    if request.param == "memory":
        buffer = LogBuffer()
        write_log(sinks=[buffer])
        return make_logs_router(access=OPEN, buffer=buffer)
    write_log(log_dir=tmp_path, json_output=request.param == "files")
    return make_logs_router(access=OPEN, log_dir=tmp_path)


async def messages(probe, router, **params):
    response = await probe(router, "/logs", params=params)
    assert response.status_code == 200, response.text
    return [
        item["message"].split(" order=")[0].split(" request_id=")[0].split(" http_500=")[0]
        for item in response.json()["items"]
    ]


CREATED, FAILED, WARM = "order created", "payment failed", "cache warm"
SLOW = "postgresql://***@db is slow"

QUESTIONS = {
    "everything, newest first": ({}, [SLOW, WARM, FAILED, CREATED]),
    "one file": ({"source": "info"}, [CREATED]),
    "the failures": ({"source": "500"}, [FAILED]),
    "a level and above": ({"level": "warning"}, [SLOW, FAILED]),
    "case of names": ({"level": "ERROR", "source": "ALL"}, [FAILED]),
    "text": ({"q": "CREATED"}, [CREATED]),
    "text of a field": ({"q": "5"}, [CREATED]),
    "request": ({"request_id": "request-1"}, [FAILED, CREATED]),
    "no such request": ({"request_id": "request"}, []),
    "a secret": ({"q": "hunter2"}, []),
    "all at once": ({"level": "info", "q": "created", "request_id": "request-1"}, [CREATED]),
    "the past": ({"end": "2020-01-01T00:00:00Z"}, []),
    "the future": ({"start": "2120-01-01T00:00:00"}, []),
    "since then": ({"start": "2020-01-01T00:00:00+03:00"}, [SLOW, WARM, FAILED, CREATED]),
}


@pytest.mark.parametrize(("params", "expected"), QUESTIONS.values(), ids=QUESTIONS)
async def test_what_is_asked_for_is_shown(probe, router, params, expected):
    found = await messages(probe, router, **params)

    if "q" in params and params["q"] == "5":
        assert CREATED in found
    else:
        assert found == expected


async def test_pages_are_followed_by_their_cursor(probe, router):
    found, cursor = [], None
    while True:
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        body = (await probe(router, "/logs", params=params)).json()
        found += [item["level"] for item in body["items"]]
        cursor = body["next_cursor"]
        assert body["has_more"] is (cursor is not None)
        assert len(body["items"]) <= body["limit"] == 1
        if cursor is None:
            break

    assert found == ["WARNING", "DEBUG", "ERROR", "INFO"]


async def test_nothing_secret_is_shown(probe, router):
    response = await probe(router, "/logs")

    assert "hunter2" not in response.text
    assert "tok_123" not in response.text
    assert response.headers["cache-control"] == "no-store"
    for item in response.json()["items"]:
        LogEntrySchema.model_validate(item)


async def test_the_answer_is_what_the_schema_says(probe, tmp_path):
    write_log(log_dir=tmp_path)
    body = (await probe(make_logs_router(access=OPEN, log_dir=tmp_path), "/logs")).json()

    entry = LogEntrySchema.model_validate(body["items"][-1])
    assert (entry.message, entry.level, entry.logger) == (CREATED, "INFO", "shop.orders")
    assert entry.request_id == "request-1"
    assert entry.model_extra is not None
    assert (entry.model_extra["order"], entry.model_extra["card_token"]) == (5, "***")
    assert set(body) == {"items", "next_cursor", "prev_cursor", "has_more", "limit"}


async def test_without_access_nothing_is_read(probe, tmp_path):
    write_log(log_dir=tmp_path)
    router = make_logs_router(access=ACCESS, log_dir=tmp_path)

    for headers in ({}, {"X-Ops-Token": "guess"}, {"X-Ops-Token": ""}):
        response = await probe(router, "/logs", headers=headers)
        assert response.status_code == 401
        assert "order" not in response.text
    answer = await probe(router, "/logs", headers={"X-Ops-Token": TOKEN})
    assert answer.status_code == 200


def test_a_router_is_not_built_without_access():
    with pytest.raises(TypeError, match="access"):
        make_logs_router()


MISTAKES = {
    "garbage": {"start": "yesterday"},
    "empty": {"start": ""},
    "no day": {"end": "2026-02-30T00:00:00Z"},
    "before time": {"start": "0001-01-01T00:00:00+10:00"},
    "huge number": {"start": "9" * 400},
    "infinity": {"start": "inf"},
    "NUL": {"start": "2026-01-01\0"},
    "the wrong way round": {"start": "2026-01-02T00:00:00", "end": "2026-01-01T00:00:00Z"},
    "a path": {"source": "../../etc/passwd"},
    "another level": {"level": "trace"},
    "no records": {"limit": 0},
    "too many": {"limit": 100_000},
    "long text": {"q": "x" * 201},
    "a filter that there is not": {"text": "order"},
    "a filter twice misspelt": {"Level": "error", "q": "order"},
    "long cursor": {"cursor": "x" * 5000},
}


@pytest.mark.parametrize("params", MISTAKES.values(), ids=MISTAKES)
async def test_a_mistake_in_the_question_is_a_422(probe, tmp_path, params):
    write_log(log_dir=tmp_path)
    router = make_logs_router(access=OPEN, log_dir=tmp_path)

    assert (await probe(router, "/logs", params=params)).status_code == 422


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "\u00e9",
        "bnVsbA",
        "e30",
        "eyJwb3NpdGlvbiI6MX0",
        "eyJwb3NpdGlvbiI6eyJpbmZvLmxvZyI6MX19",
    ],
)
async def test_a_cursor_that_is_none_is_a_400(probe, router, cursor):
    assert (await probe(router, "/logs", params={"cursor": cursor})).status_code == 400


async def test_moments_of_both_kinds_are_the_same_moment(probe, tmp_path):
    record = {"timestamp": "2026-11-22T12:00:00.500Z", "level": "INFO", "message": "noon"}
    (tmp_path / "info.log").write_text(json.dumps(record) + "\n")
    router = make_logs_router(access=OPEN, log_dir=tmp_path)

    for moment in ("2026-11-22T12:00:00.500", "2026-11-22T09:00:00.500-03:00", "1795348800.5"):
        assert await messages(probe, router, start=moment, end=moment) == ["noon"], moment
    assert datetime.fromtimestamp(1795348800.5, UTC).isoformat().startswith("2026-11-22T12:00:00.5")
    assert await messages(probe, router, start="2026-11-22T12:00:00.501") == []


async def test_what_cannot_be_read_is_a_503(probe, tmp_path):
    (tmp_path / "file").write_text("")
    router = make_logs_router(access=OPEN, log_dir=tmp_path / "file")

    response = await probe(router, "/logs")

    assert response.status_code == 503
    assert str(tmp_path) not in response.text


@pytest.mark.parametrize(
    "options",
    [
        {"log_dir": ""},
        {"default_page_size": 0},
        {"default_page_size": 50, "max_page_size": 20},
        {"max_scan_bytes": 5},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"log_dir|page_size|max_scan_bytes"):
        make_logs_router(access=OPEN, **options)


async def test_files_are_read_in_a_thread_and_few_wait_for_it(probe, monkeypatch):
    entered, leave = threading.Event(), threading.Event()
    threads = set()
    buffer = LogBuffer()
    page = buffer.page

    def slow(*args, **options):
        threads.add(threading.current_thread())
        entered.set()
        leave.wait(5)
        return page(*args, **options)

    monkeypatch.setattr(buffer, "page", slow)
    router = make_logs_router(access=OPEN, buffer=buffer)
    requests = [asyncio.create_task(probe(router, "/logs")) for _ in range(20)]
    # the loop turns while a thread reads
    done, _ = await asyncio.wait(requests, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert done
    await asyncio.to_thread(entered.wait, 5)
    refused = await asyncio.wait_for(asyncio.gather(*requests[8:]), 5)
    assert {response.status_code for response in refused} == {503}
    leave.set()
    statuses = [response.status_code for response in await asyncio.gather(*requests)]

    assert sorted(statuses) == [200] * 8 + [503] * 12
    assert len(threads) == 1
    assert threading.main_thread() not in threads
    assert (await probe(router, "/logs")).status_code == 200


def test_the_router_reads_every_file_that_logging_writes(tmp_path):
    (operation,) = make_logs_router(access=OPEN, log_dir=tmp_path).routes
    source = operation.dependant.query_params[0]

    names = [*LEVEL_LOG_FILES.values(), HTTP_500_LOG_FILE]
    assert {f"{name}.log" for name in _literals(source)} - {"all.log"} == set(names)


def _literals(parameter):
    return parameter.field_info.annotation.__args__


def test_the_buffer_keeps_the_newest_within_its_limits():
    buffer = LogBuffer(capacity=3)
    small = LogBuffer(max_bytes=400)
    configure_logging("DEBUG", logger_name="shop", stdout=False, sinks=[buffer, small])
    for number in range(10):
        logging.getLogger("shop").info("number %d", number)
    logging.getLogger("shop").info("x" * 1000)
    stop_logging()

    kept = buffer.page(LogFilter(text="number"), limit=10).entries
    assert [entry["message"] for entry in kept] == ["number 9", "number 8"]
    assert small.page(LogFilter(), limit=10).entries == []
    with pytest.raises(ValueError, match="LogBuffer needs"):
        LogBuffer(0)


async def test_a_long_message_costs_the_record_neither_its_id_nor_its_exception(tmp_path, probe):
    configure_logging(stdout=False, log_dir=tmp_path)
    token = set_request_id("request-1")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("shop").exception("x" * 70_000, extra={"token_of_it": "hunter2"})
    clear_request_id(token)
    stop_logging()
    router = make_logs_router(access=OPEN, log_dir=tmp_path)
    (item,) = (await probe(router, "/logs", params={"request_id": "request-1"})).json()["items"]
    assert item["exception"].endswith("ZeroDivisionError")
    assert item["message"] == "x" * 65_536 + "[truncated]"
    assert item["token_of_it"] == "***"


@pytest.mark.parametrize("kept_in", ["files", "memory"])
async def test_lists_and_objects_are_found_as_they_are_shown(tmp_path, probe, kept_in):
    buffer = LogBuffer() if kept_in == "memory" else None
    configure_logging(stdout=False, log_dir=tmp_path, sinks=[buffer] if buffer else [])
    logging.getLogger("shop").info("moved", extra={"ids": [1, 2], "box": {"a": [3, 4]}})
    stop_logging()
    router = make_logs_router(access=OPEN, log_dir=tmp_path, buffer=buffer)
    for text in ("[1,2]", '{"a":[3,4]}', "3,4"):
        answer = await probe(router, "/logs", params={"q": text})
        assert text in answer.text
        assert len(answer.json()["items"]) == 1
