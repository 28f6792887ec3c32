from __future__ import annotations

import io
import json
import logging
import os
import shutil
import subprocess
import sys
import threading

import pytest
from pydantic import ValidationError

from tijolo.observability import (
    FileLimits,
    LogSettings,
    configure_logging,
    configure_logging_from_settings,
    stop_logging,
)

logger = logging.getLogger("app")


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    level = root.level
    yield
    stop_logging()
    root.setLevel(level)


class Kept(logging.Handler):
    """Keeps the messages, and says when one has come."""

    def __init__(self):
        super().__init__()
        self.messages: list[str] = []
        self.came = threading.Event()

    def emit(self, record):
        self.messages.append(record.getMessage())
        self.came.set()


def run(path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path.write_text(program, "utf-8")  # a file, because worker processes import it
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=8,
        check=False,
    )


def messages_of(path) -> list[str]:
    return [json.loads(line)["message"] for line in path.read_text("utf-8").splitlines()]


def test_a_log_directory_that_was_removed_is_made_again(tmp_path):
    configure_logging(stdout=False, log_dir=tmp_path / "logs", queue_size=0)
    logger.info("one")
    shutil.rmtree(tmp_path / "logs")
    logger.info("two")
    assert messages_of(tmp_path / "logs" / "info.log") == ["two"]


def test_a_log_file_that_could_not_be_reopened_is_tried_again(tmp_path):
    directory = tmp_path / "logs"
    configure_logging(stdout=False, log_dir=directory, queue_size=0)
    logger.info("one")
    shutil.rmtree(directory)
    directory.write_text("a file stands in the way")
    logger.info("lost")
    directory.unlink()
    logger.info("two")
    assert messages_of(directory / "info.log") == ["two"]


def test_a_log_file_that_cannot_be_rotated_goes_on_growing(tmp_path, capsys):
    (tmp_path / "info.log.1" / "occupied").mkdir(parents=True)
    limits = FileLimits(max_bytes=500, backup_count=1)
    configure_logging(stdout=False, log_dir=tmp_path, queue_size=0, limits=limits)
    for number in range(20):
        logger.info("%d", number)
    assert messages_of(tmp_path / "info.log") == [str(number) for number in range(20)]
    assert "info.log" in capsys.readouterr().err


def test_stopping_closes_every_output_although_one_cannot_be_closed(tmp_path):
    class Unclosable(Kept):
        def flush(self):
            raise OSError("no space left")

    sink = Unclosable()
    configure_logging(sinks=[sink], log_dir=tmp_path, queue_size=0)
    logger.info("one")
    files = [s for h in logging.getLogger().handlers for s in getattr(h, "sinks", ())][1:3]
    files[1].stream.close()
    stop_logging()
    assert files[1].stream is None
    assert sink.messages == ["one"]


class Failing(logging.Handler):
    """Fails at "boom", and again where it should report that."""

    def __init__(self, failure: type[BaseException]):
        super().__init__()
        self.failure = failure

    def emit(self, record):
        if "boom" in record.getMessage():
            raise self.failure

    def handleError(self, record):  # noqa: N802 - stdlib's name
        raise self.failure


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit])
def test_a_sink_that_cannot_even_report_its_failure_does_not_stop_the_writing(failure):
    after = Kept()
    configure_logging(stdout=False, sinks=[Failing(failure), after])
    for text in ("a", "boom", "b", "c"):
        logger.info(text)
    assert after.came.wait(10)
    stop_logging()
    assert [text for text in after.messages if text != "boom"] == ["a", "b", "c"]


def test_a_closed_stderr_does_not_stop_the_writing(monkeypatch):
    closed = io.StringIO()
    closed.close()

    class Broken(logging.Handler):
        def emit(self, record):
            self.handleError(record)

    sink = Kept()
    monkeypatch.setattr(sys, "stderr", closed)
    configure_logging(stdout=False, sinks=[Broken(), sink])
    logger.info("a")
    assert sink.came.wait(10)
    logger.info("b")
    stop_logging()
    assert sink.messages == ["a", "b"]


HANGING = """
import logging, os, sys, tempfile, threading
from tijolo.observability import configure_logging, stop_logging
class Hanging(logging.Handler):
    def emit(self, record): threading.Event().wait()
if sys.argv[1] == "fifo":
    directory = tempfile.mkdtemp()
    os.mkfifo(directory + "/info.log")
    reader = os.open(directory + "/info.log", os.O_RDWR)
    configure_logging(stdout=False, log_dir=directory)
else:
    configure_logging(stdout=False, sinks=[Hanging()])
for number in range(2000):
    logging.getLogger("app").info("x" * 200)
stop_logging(timeout=0.2)
print("stopped")
"""


@pytest.mark.parametrize(
    "output",
    ["sink", pytest.param("fifo", marks=pytest.mark.skipif(os.name == "nt", reason="no mkfifo"))],
)
def test_an_output_that_hangs_cannot_hold_the_end_of_the_process(output, tmp_path):
    done = run(tmp_path / "hanging.py", HANGING, output)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


WORKERS = """
import logging, multiprocessing, sys
from tijolo.observability import configure_logging, stop_logging
def work():
    if sys.argv[1] != "fork":
        configure_logging()
    for number in range(500):
        logging.getLogger("app").info("%d", number)
if __name__ == "__main__":
    configure_logging()
    worker = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    worker.start()
    worker.join()
    sys.exit(worker.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_the_records_of_a_worker_process_are_written_before_it_ends(method, tmp_path):
    done = run(tmp_path / "workers.py", WORKERS, method)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line)["message"] for line in done.stdout.splitlines()]
    assert lines == [str(number) for number in range(500)]


TEXT = """
import logging
from tijolo.observability import configure_logging
configure_logging(json_output=False)
logging.getLogger("app").info("ação")
"""


def test_a_text_output_that_is_not_utf8_loses_no_record(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run(tmp_path / "text.py", TEXT)
    assert done.stdout.endswith("app: a\\xe7\\xe3o\n"), done.stderr


def test_settings_that_leave_no_output_are_refused():
    settings = LogSettings(LOG_STDOUT=False, LOG_DIR="")
    with pytest.raises(ValueError, match=r"LOG_STDOUT is false and LOG_DIR is empty"):
        configure_logging_from_settings(settings)
    sink = Kept()
    configure_logging_from_settings(settings, sinks=[sink])
    logger.info("heard")
    stop_logging()
    assert sink.messages == ["heard"]


def test_a_refused_setting_does_not_show_its_value():
    with pytest.raises(ValidationError) as refused:
        LogSettings(LOG_QUEUE_SIZE="hunter2")
    assert "hunter2" not in str(refused.value)
