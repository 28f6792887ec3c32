"""Large, rotated and hostile log files, read from their end in bounded memory."""

from __future__ import annotations

import json
import os
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tijolo.core import AppException
from tijolo.observability.log_entries import LogFilter
from tijolo.observability.log_lines import sortable
from tijolo.observability.log_reader import MAX_PAGE_BYTES, MIN_SCAN_BYTES, LogReader

MIB = 1024 * 1024
BEGIN = datetime(2026, 11, 22, tzinfo=UTC)
FILES = {"info.log": "INFO", "error.log": "ERROR"}
EVERYTHING = LogFilter()


def line(number: int, message: str = "order created", **fields: object) -> bytes:
    record = {
        "timestamp": sortable(BEGIN + timedelta(milliseconds=number)),
        "level": "INFO",
        "logger": "shop.orders",
        "message": message,
        "number": number,
        **fields,
    }
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def write(path: Path, numbers, **fields: object) -> None:
    path.write_bytes(b"".join(line(number, **fields) for number in numbers))


@pytest.fixture
def reader(tmp_path):
    return LogReader(tmp_path, FILES)


def numbers_of(page):
    return [entry["number"] for entry in page.entries]


def all_pages(reader, wanted=EVERYTHING, *, limit=7, between=lambda: None, most=10_000):
    """Every record, page after page."""
    found, position = [], None
    for _ in range(most):
        page = reader.page(wanted, limit=limit, position=position)
        found += page.entries
        position = page.position
        if position is None:
            return found
        position = json.loads(json.dumps(position))
        between()
    raise AssertionError("the pages never end")


@pytest.fixture(scope="module")
def gigabyte(tmp_path_factory):
    """A directory with 1 GiB of log files, of which the last megabytes of each are records."""
    directory = tmp_path_factory.mktemp("large")
    per_file, size = 4, 256 * MIB
    for generation in range(per_file):
        path = directory / ("info.log" if generation == 0 else f"info.log.{generation}")
        first = (per_file - 1 - generation) * 10_000_000
        with path.open("wb") as file:
            file.write(line(first))
            file.seek(size - 4 * MIB)
            file.write(b"\n")
            for number in range(first + 20, first + 300_000, 20):
                file.write(line(number, padding="x" * 100))
    return directory


def test_a_page_of_a_gigabyte_reads_little_of_it_in_little_memory(gigabyte):
    assert sum(path.stat().st_size for path in gigabyte.iterdir()) > 900 * MIB
    reader = LogReader(gigabyte, FILES)
    reader.page(EVERYTHING, limit=50)

    tracemalloc.start()
    page = reader.page(EVERYTHING, limit=50)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert numbers_of(page) == list(range(30_299_980, 30_298_980, -20))
    assert page.bytes_read <= 128 * 1024
    assert peak < 2 * MIB


def test_a_moment_is_found_in_a_gigabyte_without_reading_what_came_after_it(gigabyte):
    reader = LogReader(gigabyte, FILES)
    end = BEGIN + timedelta(milliseconds=10_100_000)

    page = reader.page(LogFilter(end=end), limit=50)

    assert numbers_of(page) == list(range(10_100_000, 10_099_000, -20))
    assert page.bytes_read < 2 * MIB  # the minute after it among them: 3000 records


def test_records_before_the_start_are_not_read_on_and_on(gigabyte):
    reader = LogReader(gigabyte, FILES)
    start = BEGIN + timedelta(milliseconds=30_299_900)

    found = all_pages(reader, LogFilter(start=start), most=3)

    assert [entry["number"] for entry in found] == list(range(30_299_980, 30_299_899, -20))


def test_a_search_in_vain_ends_a_page_and_the_next_one_goes_on(tmp_path):
    write(tmp_path / "info.log", range(100_000), padding="x" * 200)
    size = (tmp_path / "info.log").stat().st_size
    with (tmp_path / "info.log.1").open("wb") as file:
        file.write(line(-1, "the needle"))
    reader = LogReader(tmp_path, FILES, max_scan_bytes=MIN_SCAN_BYTES)

    pages, position = [], None
    while not pages or position is not None:
        pages.append(reader.page(LogFilter(text="NEEDLE"), limit=5, position=position))
        position = pages[-1].position

    assert [len(page.entries) for page in pages] == [0] * (len(pages) - 1) + [1]
    assert len(pages) > size // MIN_SCAN_BYTES
    assert all(page.bytes_read <= MIN_SCAN_BYTES + 128 * 1024 for page in pages)


def test_pages_follow_each_other_without_gap_and_without_repetition(tmp_path, reader):
    write(tmp_path / "info.log.2", range(100))
    write(tmp_path / "info.log.1", range(100, 250))
    write(tmp_path / "info.log", range(250, 300))
    write(tmp_path / "error.log", [120, 120, 299, 301])

    numbers = [entry["number"] for entry in all_pages(reader)]

    assert numbers == sorted([*range(300), 120, 120, 299, 301], reverse=True)


def test_rotation_and_new_records_between_pages_change_nothing(tmp_path, reader):
    write(tmp_path / "info.log.1", range(100))
    write(tmp_path / "info.log", range(100, 200))
    counter = iter(range(1000, 2000))

    def between():
        number = next(counter)
        with (tmp_path / "info.log").open("ab") as file:
            file.write(line(number))
        if number % 3 == 0:
            for generation in range(9, 0, -1):
                older = tmp_path / f"info.log.{generation}"
                if older.exists():
                    older.rename(tmp_path / f"info.log.{generation + 1}")
            (tmp_path / "info.log").rename(tmp_path / "info.log.1")
            (tmp_path / "info.log").write_bytes(line(number))

    numbers = [entry["number"] for entry in all_pages(reader, between=between, limit=20)]

    assert numbers == list(range(199, -1, -1))


def test_a_file_that_is_deleted_between_pages_ends_them(tmp_path, reader):
    write(tmp_path / "info.log", range(100))
    page = reader.page(EVERYTHING, limit=10)
    (tmp_path / "info.log").unlink()

    assert reader.page(EVERYTHING, limit=10, position=page.position).entries == []

    write(tmp_path / "info.log", range(500, 600))  # may well get the inode of the other
    assert reader.page(EVERYTHING, limit=10, position=page.position).entries == []


def test_a_file_that_is_truncated_while_it_is_read_ends_the_page(tmp_path, reader):
    write(tmp_path / "info.log", range(3000), padding="x" * 300)
    page = reader.page(EVERYTHING, limit=10)
    os.truncate(tmp_path / "info.log", 200)

    assert all_pages(reader, most=3) != []
    assert reader.page(EVERYTHING, limit=10, position=page.position).position is None


def test_a_line_of_a_hundred_megabytes_becomes_a_stand_in(tmp_path):
    reader = LogReader(tmp_path, FILES)
    with (tmp_path / "info.log").open("wb") as file:
        file.write(line(1))
        file.write(b'{"message":"' + b"x" * 16)
        file.truncate(file.tell() + 100 * MIB)  # a hole: NULs without a line break
        file.seek(0, os.SEEK_END)
        file.write(b'"}\n' + line(2))

    tracemalloc.start()
    found = all_pages(reader, most=20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [entry.get("number") for entry in found] == [2, None, 1]
    assert found[1]["message"] == "[a line of more than 512 KiB is left out]"
    assert peak < 16 * MIB


HOSTILE = {
    "no line break at the end": (line(2)[:-1], 2),
    "a line that breaks off": (b'{"timestamp":"2026-11-22T00:00:00.002Z","mess\n', "2026"),
    "invalid UTF-8": (b'{"message":"\xff\xfe\xc3"}\n', "\\xff\\xfe\\xc3"),
    "a lone surrogate": (b'{"message":"\\ud800"}\n', "\\ud800"),
    "NULs before a record": (b"\0" * 4096 + line(2), 2),
    "NULs within a record": (b'{"message":"a\0b"}\n', "a\0b"),
    "no object": (b"[1, 2]\n", "[1, 2]"),
    "an empty object": (b"{}\n", "{}"),
    "deep nesting": (b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n", '{"a":'),
    "an endless number": (b'{"a":' + b"9" * 5000 + b"}\n", "999"),
    "numbers that JSON lacks": (b'{"message":"n","x":[NaN,1e999,-Infinity]}\n', "n"),
    "wrong types": (b'{"message":[1],"level":null,"logger":7,"request_id":{}}\n', "[1]"),
    "keys of Python's own": (b'{"message":"k","__class__":1,"to_dict":2,"self":3}\n', "k"),
    "carriage returns": (line(2)[:-1] + b"\r\n", 2),
    "only line breaks": (b"\n" * 100_000, None),
    "a year before all others": (b'{"timestamp":"0001-01-01T00:00:00.000Z","message":"y"}\n', "y"),
    "a day that is none": (b'{"timestamp":"2026-13-45T99:00:00.000Z","message":"y"}\n', "y"),
}


@pytest.mark.parametrize(("content", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_content_is_shown_and_hides_nothing(tmp_path, reader, content, expected):
    (tmp_path / "info.log").write_bytes(line(1) + content + line(3)[:0])

    found = all_pages(reader, limit=1)

    assert found[-1]["number"] == 1
    json.dumps(found, allow_nan=False).encode()
    if expected is None:
        assert len(found) == 1
    elif isinstance(expected, int):
        assert [entry["number"] for entry in found] == [expected, 1]
    else:
        assert len(found) == 2
        assert expected in found[0]["message"] or expected in json.dumps(found[0])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.integers(0, 50).map(lambda number: line(number)[:-1]),
            st.sampled_from([b"    at somewhere", b"\n", b"\0\0", b'{"a":', b"{}"]),
        ),
        max_size=30,
    ),
    st.integers(1, 5),
    st.sampled_from(
        [EVERYTHING, LogFilter(text="order"), LogFilter(start=BEGIN), LogFilter(level=20)]
    ),
)
def test_whatever_a_file_holds_pages_end_and_agree_with_one_page(
    tmp_path_factory, parts, limit, wanted
):
    directory = tmp_path_factory.mktemp("any")
    (directory / "info.log").write_bytes(b"\n".join(parts))
    reader = LogReader(directory, FILES)

    whole = reader.page(wanted, limit=1000).entries

    assert all_pages(reader, wanted, limit=limit, most=200) == whole


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), max_size=60), st.integers(1, 9))
def test_files_are_merged_newest_first(tmp_path_factory, parts, limit):
    directory = tmp_path_factory.mktemp("merged")
    for file, places in {"info.log": (0, 1), "error.log": (2, 3)}.items():
        for generation, place in enumerate(places):
            shift = 0 if generation else 100  # a younger generation holds younger records
            name = f"{file}.{generation}" if generation else file
            write(directory / name, sorted(n + shift for n, where in parts if where == place))

    numbers = [entry["number"] for entry in all_pages(LogReader(directory, FILES), limit=limit)]

    expected = [n + (100 if where in {0, 2} else 0) for n, where in parts]
    assert numbers == sorted(expected, reverse=True)


def test_links_pipes_and_directories_are_not_opened(tmp_path, reader):
    secret = tmp_path / "secret"
    secret.write_bytes(line(1, "not a log"))
    (tmp_path / "info.log").symlink_to(secret)
    os.mkfifo(tmp_path / "info.log.1")
    (tmp_path / "error.log").mkdir()
    (tmp_path / "info.log.2x").write_bytes(line(2))
    (tmp_path / "info.log.\u0663").write_bytes(line(3))

    assert reader.page(EVERYTHING, limit=10).entries == []


def test_a_directory_that_does_not_exist_has_no_records(tmp_path):
    assert LogReader(tmp_path / "none", FILES).page(EVERYTHING, limit=10).entries == []


def test_lines_of_text_come_with_their_traceback(tmp_path, reader):
    (tmp_path / "error.log").write_bytes(
        b"2026-11-22T00:00:00.001Z ERROR    shop: failed request_id=abc order=5\n"
        b"    Traceback (most recent call last):\n"
        b"      File x\n"
        b"    ValueError: no\n"
        b"2026-11-22T00:00:00.002Z ERROR    shop: again\n"
    )

    again, failed = reader.page(EVERYTHING, limit=10).entries

    assert (again["message"], again.get("exception")) == ("again", None)
    assert (failed["level"], failed["logger"]) == ("ERROR", "shop")
    assert failed["exception"].startswith("Traceback")
    assert failed["exception"].endswith("\nValueError: no")
    assert len(reader.page(LogFilter(request_id="abc"), limit=10).entries) == 1
    assert len(all_pages(reader, limit=1)) == 2


def test_what_others_wrote_is_redacted_and_cannot_be_searched_for(tmp_path, reader):
    (tmp_path / "info.log").write_bytes(line(1, "postgresql://app:hunter2@db", password="hunter2"))

    (entry,) = reader.page(EVERYTHING, limit=10).entries

    assert "hunter2" not in json.dumps(entry)
    assert reader.page(LogFilter(text="hunter2"), limit=10).entries == []
    assert reader.page(LogFilter(text="postgresql"), limit=10).entries == [entry]


@pytest.mark.parametrize("text", ["Ação", "ação", 'say "hi"', "back\\slash", "ORDER", "\u2028"])
def test_text_is_found_however_it_is_escaped(tmp_path, reader, text):
    message = f"order: {text.upper()} done"
    record = {"timestamp": "2026-11-22T00:00:00.000Z", "message": message, "level": "INFO"}
    lines = [json.dumps(record, ensure_ascii=ascii_only) for ascii_only in (True, False)]
    (tmp_path / "info.log").write_text("\n".join([*lines, ""]), encoding="utf-8")

    assert len(reader.page(LogFilter(text=text), limit=10).entries) == 2


def test_a_page_of_large_records_is_cut_by_its_size(tmp_path, reader):
    write(tmp_path / "info.log", range(100), padding="x" * 50_000)

    page = reader.page(EVERYTHING, limit=100)

    assert 1 < len(page.entries) < MAX_PAGE_BYTES // 50_000 + 2
    assert len(all_pages(reader, limit=100)) == 100


@pytest.mark.parametrize(
    "position",
    [
        {"info.log": [1, 2]},
        {"info.log": "x"},
        {"info.log": [1, -5, False]},
        {"info.log": [1, 2**70, False]},
        {"info.log": [1, 2, 3]},
        {"info.log": None},
    ],
)
def test_a_forged_position_is_the_callers_mistake(tmp_path, reader, position):
    write(tmp_path / "info.log", range(3))

    with pytest.raises(AppException) as caught:
        reader.page(EVERYTHING, limit=10, position=position)

    assert (caught.value.status_code, caught.value.code) == (400, "INVALID_CURSOR")


def test_positions_of_other_files_are_ignored(tmp_path, reader):
    write(tmp_path / "info.log", range(3))
    (tmp_path / "passwd").write_bytes(line(1))

    page = reader.page(EVERYTHING, limit=10, position={"../passwd": [0, 5, False], "passwd": 1})

    assert page.entries == []


def test_open_files_are_closed(tmp_path, reader):
    for generation in range(1, 40):
        write(tmp_path / f"info.log.{generation}", range(3))
    before = len(list(Path("/proc/self/fd").iterdir()))

    assert len(reader.page(LogFilter(text="order"), limit=1000).entries) == 39 * 3

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_scan_that_could_not_get_on_is_refused(tmp_path):
    with pytest.raises(ValueError, match="max_scan_bytes must be"):
        LogReader(tmp_path, FILES, max_scan_bytes=1000)


def test_a_traceback_that_lies_across_the_end_of_a_scan_stays_whole(tmp_path):
    size, across = 40_000, MIN_SCAN_BYTES // 40_000
    with (tmp_path / "error.log").open("wb") as file:
        for number in range(across + 5, -1, -1):
            kind = b"needle" if number == across else b"hay"
            head = b"2026-11-22T00:00:00.001Z ERROR    shop: %s\n" % kind
            rest = size - len(head) - len(b"    last\n")
            file.write(head + b"    first\n" + b" " * 4 + b"x" * (rest - 15) + b"\n    last\n")
    reader = LogReader(tmp_path, FILES, max_scan_bytes=MIN_SCAN_BYTES)

    first = reader.page(LogFilter(text="needle"), limit=5)
    second = reader.page(LogFilter(text="needle"), limit=5, position=first.position)

    assert first.entries == []
    assert [entry["message"] for entry in second.entries] == ["needle"]
    assert second.entries[0]["exception"].startswith("first\nxxx")
    assert second.position is None
    assert second.entries[0]["exception"].endswith("xxx\nlast")
