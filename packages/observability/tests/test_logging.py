from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvicorn
from fastapi import FastAPI

from tijolo.core import (
    HTTP_500_MARKER,
    clear_request_id,
    request_id_ctx,
    set_request_id,
    set_user_id,
)
from tijolo.core.testing import assert_settings_read
from tijolo.observability import (
    FOREIGN_LOGGERS,
    HTTP_500_LOG_FILE,
    LEVEL_LOG_FILES,
    FileLimits,
    JSONFormatter,
    LogQueueHandler,
    LogSettings,
    LogUtils,
    Redactor,
    TextFormatter,
    configure_logging,
    configure_logging_from_settings,
    get_logger,
    stop_logging,
    unify_loggers,
)
from tijolo.observability.log_files import level_file_handlers


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    level = root.level
    yield
    stop_logging()
    root.setLevel(level)


@pytest.fixture
def written(capsys):
    """What reached stdout, as parsed lines, after everything was flushed."""

    def lines():
        stop_logging()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return lines


class Sink(logging.Handler):
    """Keeps the records; holds the writing thread while `gate` is closed."""

    def __init__(self):
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.closed = False

    def emit(self, record):
        self.entered.set()
        self.gate.wait(30)
        self.records.append(record)

    def close(self):
        self.closed = True
        super().close()

    def messages(self):
        stop_logging()
        return [record.getMessage() for record in self.records]


def test_by_default_json_lines_go_to_stdout_and_nothing_to_files(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configure_logging()
    logging.getLogger("app").info("order %d", 5, extra={"total": 9})
    logging.getLogger("app").debug("unseen")
    (line,) = written()
    assert (line["level"], line["logger"], line["message"], line["total"]) == (
        "INFO",
        "app",
        "order 5",
        9,
    )
    assert line["function"] == "test_by_default_json_lines_go_to_stdout_and_nothing_to_files"
    assert list(tmp_path.iterdir()) == []


def test_configuring_again_replaces_and_never_doubles(written):
    for level in ("INFO", "DEBUG", "DEBUG"):
        configure_logging(level)
    logging.getLogger("app").debug("once")
    assert [line["message"] for line in written()] == ["once"]


def test_a_branch_can_have_its_own_output(written):
    sink = Sink()
    configure_logging()
    configure_logging("DEBUG", logger_name="audit", stdout=False, sinks=[sink])
    logging.getLogger("audit.login").debug("branch")
    logging.getLogger("app").info("trunk")
    assert [line["message"] for line in written()] == ["trunk"]
    assert sink.messages() == ["branch"]


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match=r"Unknown log level 'LOUD'; there are: .*INFO"):
        configure_logging("LOUD")
    with pytest.raises(ValueError, match="queue must be 0 or more, got -1"):
        configure_logging(queue_size=-1)


def test_each_level_has_its_file_and_failed_requests_one_more(tmp_path):
    configure_logging("DEBUG", log_dir=tmp_path / "deep" / "logs", stdout=False)
    logger = get_logger("app")
    for level in sorted(LEVEL_LOG_FILES):
        logger.log(level, "at %d", level)
    logger.log(25, "between")
    logger.error("failed", extra={HTTP_500_MARKER: True})
    stop_logging()

    def messages(name):
        text = (tmp_path / "deep" / "logs" / name).read_text(encoding="utf-8")
        return [json.loads(line)["message"] for line in text.splitlines()]

    assert {name: messages(name) for name in (*LEVEL_LOG_FILES.values(), HTTP_500_LOG_FILE)} == {
        "debug.log": ["at 10"],
        "info.log": ["at 20", "between"],
        "warning.log": ["at 30"],
        "error.log": ["at 40", "failed"],
        "critical.log": ["at 50"],
        "500.log": ["failed"],
    }


def test_file_output_without_a_directory_uses_logs_and_can_be_turned_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configure_logging(stdout=False, log_dir="elsewhere", file_output=False)
    configure_logging(stdout=False, file_output=True)
    logging.getLogger("app").info("kept")
    stop_logging()
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_files_rotate_by_size_and_no_line_is_lost_while_generations_last(tmp_path):
    limits = FileLimits(max_bytes=2_000, backup_count=3)
    configure_logging(log_dir=tmp_path, stdout=False, limits=limits)
    for number in range(200):
        logging.getLogger("app").info("é%d", number)
    stop_logging()
    files = sorted(tmp_path.glob("info.log*"))
    assert [path.name for path in files] == ["info.log", "info.log.1", "info.log.2", "info.log.3"]
    assert all(path.stat().st_size <= 2_000 for path in files)
    lines = [json.loads(x) for p in reversed(files) for x in p.read_text("utf-8").splitlines()]
    assert [line["message"] for line in lines] == [f"é{n}" for n in range(200 - len(lines), 200)]


def test_a_line_larger_than_the_limit_is_written_whole(tmp_path):
    limits = FileLimits(max_bytes=100, backup_count=1)
    configure_logging(log_dir=tmp_path, stdout=False, limits=limits)
    logging.getLogger("app").info("x" * 1000)
    stop_logging()
    assert json.loads((tmp_path / "info.log").read_text("utf-8"))["message"] == "x" * 1000


def test_old_generations_are_deleted_by_age(tmp_path):
    old, young, other = (tmp_path / name for name in ("info.log.1", "info.log.2", "info.log.txt"))
    for path in (old, young, other):
        path.write_text("x")
    for path in (old, other):
        os.utime(path, (1, 1))
    configure_logging(log_dir=tmp_path, stdout=False, limits=FileLimits(retention_days=7))
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_workers_that_start_at_once_delete_old_generations_together(tmp_path):
    for number in range(1, 500):
        (tmp_path / f"info.log.{number}").touch()
        os.utime(tmp_path / f"info.log.{number}", (1, 1))
    limits, starting = FileLimits(retention_days=7), threading.Barrier(8)

    def start(_):
        starting.wait()
        return level_file_handlers(tmp_path, limits)

    with ThreadPoolExecutor(8) as workers:
        assert len(list(workers.map(start, range(8)))) == 8
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_process_rotated_is_opened_anew(tmp_path):
    configure_logging(log_dir=tmp_path, stdout=False, queue_size=0)
    logger = logging.getLogger("app")
    logger.info("before")
    (tmp_path / "info.log").rename(tmp_path / "info.log.1")
    logger.info("after")
    assert "before" in (tmp_path / "info.log.1").read_text("utf-8")
    assert "after" in (tmp_path / "info.log").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_bytes": -1}, "max_bytes must be 0 or more, got -1"),
        ({"max_bytes": 5, "backup_count": 0}, "needs a backup_count of 1 or more"),
        ({"retention_days": 0}, "retention_days must be more than 0, got 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FileLimits(**options)


def test_a_full_queue_drops_counts_and_reports_and_never_blocks():
    sink = Sink()
    sink.gate.clear()
    configure_logging(stdout=False, sinks=[sink], queue_size=10)
    logger = logging.getLogger("app")
    logger.info("first")
    assert sink.entered.wait(10)
    for number in range(30):
        logger.info("n%d", number)
    sink.gate.set()
    messages = sink.messages()
    assert messages[0] == "first"
    assert [m for m in messages if m.startswith("n")] == [f"n{n}" for n in range(10)]
    assert "20 log records were dropped: the queue of 10 was full" in messages


def test_a_sink_that_hangs_cannot_hold_the_shutdown():
    sink = Sink()
    sink.gate.clear()
    configure_logging(stdout=False, sinks=[sink])
    for _ in range(3):
        logging.getLogger("app").info("stuck")
    handler = next(h for h in logging.getLogger().handlers if isinstance(h, LogQueueHandler))
    stop_logging(timeout=0.05)
    assert handler.dropped == 2
    sink.gate.set()


def test_a_sink_that_raises_takes_nothing_from_the_others(written, monkeypatch):
    class Broken(logging.Handler):
        def handle(self, record):
            raise OSError("disk full")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    configure_logging(sinks=[Broken()])
    logging.getLogger("app").info("one")
    logging.getLogger("app").info("two")
    assert [line["message"] for line in written()] == ["one", "two"]


@pytest.mark.parametrize("queue_size", [0, 100])
def test_a_sink_that_logs_does_not_feed_itself(queue_size):
    class Chatty(Sink):
        def emit(self, record):
            logging.getLogger("sink").info("writing")
            super().emit(record)

    sink = Chatty()
    configure_logging(stdout=False, sinks=[sink], queue_size=queue_size)
    logging.getLogger("app").info("one")
    assert sink.messages() == ["one"]


def test_sinks_get_redacted_records_and_are_not_closed():
    sink = Sink()
    sink.setLevel("WARNING")
    configure_logging(stdout=False, sinks=[sink], redactor=Redactor(keys=["plate"]))
    extra = {"plate": "ABC1D23", "dsn": "x://u:hunter2@h", "n": 1}
    try:
        raise ValueError("token=hunter2")
    except ValueError:
        logging.getLogger("app").exception("password=%s", "hunter2", extra=extra)
    logging.getLogger("app").info("below the level of the sink")
    stop_logging()
    (record,) = sink.records
    assert "hunter2" not in repr(record.__dict__)
    assert (record.getMessage(), record.plate, record.n) == ("password=***", "***", 1)
    assert record.exc_info is None
    assert "ValueError: token=***" in logging.Formatter().format(record)
    assert not sink.closed


def test_filters_run_where_the_record_is_logged():
    sink, seen = Sink(), []

    def only_orders(record):
        seen.append(threading.current_thread())
        return record.name == "orders"

    configure_logging(stdout=False, sinks=[sink], filters=[only_orders])
    logging.getLogger("orders").info("kept")
    logging.getLogger("noise").info("left out")
    assert sink.messages() == ["kept"]
    assert set(seen) == {threading.main_thread()}


def test_the_record_says_what_was_true_when_it_was_logged():
    sink = Sink()
    sink.gate.clear()
    sink.setFormatter(JSONFormatter())
    configure_logging(stdout=False, sinks=[sink])
    items = ["a"]
    token = set_request_id("req-1")
    logging.getLogger("app").info("items", extra={"items": items})
    clear_request_id(token)
    items.append("b")
    sink.gate.set()
    stop_logging()
    line = json.loads(sink.format(sink.records[0]))
    assert (line["request_id"], line["items"]) == ("req-1", ["a"])


def test_other_handlers_still_get_the_original_record(caplog):
    configure_logging(stdout=False)
    logging.getLogger("app").info("n %d", 5)
    assert caplog.records[0].args == (5,)


async def test_tasks_and_threads_keep_their_ids_apart(written):
    configure_logging()
    logger = logging.getLogger("app")

    def in_thread(number):
        logger.info("thread", extra={"of": number})

    async def request(number):
        set_request_id(f"req-{number}")
        set_user_id(f"user-{number}")
        for _ in range(5):
            await asyncio.sleep(0)
            logger.info("task", extra={"of": number})
        await asyncio.to_thread(in_thread, number)

    await asyncio.gather(*(asyncio.create_task(request(number)) for number in range(20)))
    lines = written()
    assert len(lines) == 20 * 6
    assert {(x["of"], x["request_id"], x["user_id"]) for x in lines} == {
        (n, f"req-{n}", f"user-{n}") for n in range(20)
    }


def test_many_threads_lose_and_mix_nothing(written):
    configure_logging(queue_size=100_000)
    logger = logging.getLogger("app")

    def work(number):
        request_id_ctx.set(f"req-{number}")
        for step in range(200):
            logger.info("%d", step)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = written()
    assert len(lines) == 1600
    for number in range(8):
        mine = [x["message"] for x in lines if x["request_id"] == f"req-{number}"]
        assert mine == [str(step) for step in range(200)]


FORKING = """
import itertools, logging, os, sys, threading
from tijolo.observability import configure_logging, stop_logging
configure_logging()
logger = logging.getLogger("app")
busy = threading.Event()
numbers = itertools.count()
def chatter():
    while not busy.is_set():
        logger.info("chatter", extra={"number": next(numbers)})
threads = [threading.Thread(target=chatter) for _ in range(3)]
for thread in threads: thread.start()
children = []
for number in range(20):
    pid = os.fork()
    if pid == 0:
        logger.info("child", extra={"number": number})
        stop_logging()
        os._exit(0)
    children.append(pid)
busy.set()
for thread in threads: thread.join()
codes = [os.waitpid(pid, 0)[1] for pid in children]
logger.info("parent", extra={"codes": codes})
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_in_the_middle_of_logging_neither_hangs_nor_repeats_a_line():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(x["number"] for x in lines if x["message"] == "child") == list(range(20))
    assert [x["codes"] for x in lines if x["message"] == "parent"] == [[0] * 20]
    chatter = [x["number"] for x in lines if x["message"] == "chatter"]
    assert len(chatter) == len(set(chatter)) > 0


def test_what_waits_is_written_when_the_process_ends():
    program = (
        "import logging; from tijolo.observability import configure_logging; configure_logging()\n"
        "for n in range(500): logging.getLogger('app').info('%d', n)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert [json.loads(x)["message"] for x in done.stdout.splitlines()] == list(
        map(str, range(500))
    )


def test_an_output_that_is_not_utf8_loses_no_record():
    program = (
        "import logging; from tijolo.observability import configure_logging; configure_logging()\n"
        "logging.getLogger('app').info('a\\u00e7\\u00e3o \\U0001f600')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        timeout=60,
        check=True,
        env=environment,
    )
    assert json.loads(done.stdout)["message"] == "ação 😀"


async def test_uvicorn_logs_in_our_shape_and_hides_query_secrets(written):
    app = FastAPI()

    @app.get("/")
    async def index():
        return {}

    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off"))
    configure_logging()
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /?token=hunter2&page=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    server.should_exit = True
    await serving
    lines = written()
    access = [line["message"] for line in lines if line["logger"] == "uvicorn.access"]
    assert len(access) == 1
    assert re.search(r'"GET /\?token=\*\*\*&page=1 HTTP/1.1" 200', access[0])
    assert "Started server process" in " ".join(line["message"] for line in lines)
    assert not [line for line in lines if "color_message" in line]


def test_foreign_handlers_are_removed_also_when_they_come_later(written):
    configure_logging()
    for name in FOREIGN_LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(logging.StreamHandler(io.StringIO()))
        logger.propagate = False
    unify_loggers()
    for name in FOREIGN_LOGGERS:
        logging.getLogger(name).error("from %s", name)
    assert [line["message"] for line in written()] == [f"from {name}" for name in FOREIGN_LOGGERS]


def test_log_utils_take_fields_of_any_name(written):
    configure_logging("DEBUG")
    log = LogUtils("app.files")
    names = ("name", "filename", "module", "args", "msg", "message", "self", "level", "exc_text")
    log.info("uploaded 100%", **{name: f"<{name}>" for name in names})
    for method in (log.debug, log.warning, log.error, log.critical):
        method("m", n=1)
    first, *rest = written()
    assert (first["message"], first["logger"]) == ("uploaded 100%", "app.files")
    assert first["function"] == "test_log_utils_take_fields_of_any_name"
    for name in names:
        key = f"extra_{name}" if name in {"module", "message", "level"} else name
        assert first[key] == f"<{name}>"
    assert [line["level"] for line in rest] == ["DEBUG", "WARNING", "ERROR", "CRITICAL"]
    assert {line["n"] for line in rest} == {1}


def test_log_utils_log_exceptions(written):
    configure_logging()
    log = LogUtils("app")
    try:
        raise KeyError("gone")
    except KeyError as exc:
        log.exception("first", order=1)
        log.warning("second", exc_info=exc)
    first, second = written()
    assert (first["level"], first["order"]) == ("ERROR", 1)
    assert "KeyError: 'gone'" in first["exception"]
    assert "KeyError: 'gone'" in second["exception"]


def test_log_utils_configure_their_branch_when_told_to(written):
    log = LogUtils("tool", level="DEBUG", json_output=True)
    log.debug("seen")
    token = set_request_id("req-9")
    assert LogUtils.current_request_id() == "req-9"
    clear_request_id(token)
    assert LogUtils.get_logger("tool") is log.logger
    assert [line["message"] for line in written()] == ["seen"]


def test_log_utils_alone_are_not_silent():
    program = "from tijolo.observability import LogUtils; LogUtils('app').info('heard', n=1)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["message"] == "heard"


def test_text_output_has_colours_on_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for kind, colored in ((Terminal, True), (io.StringIO, False)):
        out = kind()
        monkeypatch.setattr(sys, "stdout", out)
        configure_logging(json_output=False)
        logging.getLogger("app").info("hello")
        stop_logging()
        assert ("\x1b[32m" in out.getvalue()) is colored
        assert out.getvalue().endswith("app: hello\n")


def test_text_files_are_never_coloured(tmp_path):
    configure_logging(json_output=False, stdout=False, log_dir=tmp_path)
    logging.getLogger("app").error("a\nb")
    stop_logging()
    assert (tmp_path / "error.log").read_text("utf-8").endswith("ERROR    app: a\\u000ab\n")


def test_every_setting_is_read_and_does_what_it_says(written, tmp_path):
    class Settings(LogSettings):
        pass

    settings = Settings(
        LOG_LEVEL="debug",
        LOG_DIR=str(tmp_path),
        LOG_FILE_MAX_BYTES=300,
        LOG_FILE_BACKUPS=2,
        LOG_FILE_RETENTION_DAYS=1,
        LOG_REDACT_KEYS=["plate"],
        LOG_REDACT_CPF=True,
    )
    sink = Sink()
    with assert_settings_read(LogSettings, by="tijolo.observability"):
        configure_logging_from_settings(settings, sinks=[sink])
    for _ in range(9):
        logging.getLogger("app").debug("529.982.247-25", extra={"plate": "ABC1D23"})
    lines = written()
    assert {(x["level"], x["message"], x["plate"]) for x in lines} == {("DEBUG", "***", "***")}
    assert len(sink.records) == 9
    assert len(list(tmp_path.glob("debug.log*"))) == 3


def test_settings_come_from_the_environment_of_the_service(monkeypatch):
    monkeypatch.setenv("LOG_REDACT_KEYS", '["plate", "rg"]')
    monkeypatch.setenv("LOG_JSON", "false")
    settings = LogSettings()
    assert (settings.LOG_REDACT_KEYS, settings.LOG_JSON) == (("plate", "rg"), False)
    with pytest.raises(ValueError, match="unknown log level 'loud'"):
        LogSettings(LOG_LEVEL="loud")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("plate,rg", ("plate", "rg")),
        (" plate , rg,", ("plate", "rg")),
        ("plate", ("plate",)),
        ("", ()),
        (' ["plate", "rg"]', ("plate", "rg")),
    ],
)
def test_redacted_keys_are_a_list_with_commas_or_json(monkeypatch, written, expected):
    monkeypatch.setenv("LOG_REDACT_KEYS", written)
    assert expected == LogSettings().LOG_REDACT_KEYS
    assert expected == LogSettings(LOG_REDACT_KEYS=list(expected)).LOG_REDACT_KEYS


@pytest.mark.parametrize("written", ['["plate"', "[1]", '[["plate"]]'])
def test_redacted_keys_that_are_no_list_are_refused(monkeypatch, written):
    monkeypatch.setenv("LOG_REDACT_KEYS", written)
    with pytest.raises(ValueError, match="LOG_REDACT_KEYS"):
        LogSettings()


def test_formatters_serve_any_standard_handler():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.Logger("plain")
    logger.addHandler(handler)
    handler.setFormatter(JSONFormatter())
    logger.warning("json", extra={"n": 1})
    handler.setFormatter(TextFormatter())
    logger.warning("text", extra={"n": 1})
    first, second = out.getvalue().splitlines()
    assert json.loads(first)["n"] == 1
    assert second.endswith("plain: text n=1")
