"""Many values: ``validate_many`` and ``python -m tijolo.br_validators``."""

import io
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tijolo.br_validators import Strictness, Verdict, ie_kind, validate_many

PACKAGE = "tijolo.br_validators"
LINES = ["11.222.333/0001-81", "", "12ABC34501DE36", "  ", "12abc34501de35", "12ABC34501DE35"]


def test_each_value_has_its_verdict_in_order() -> None:
    verdicts = list(validate_many("cpf", ["529.982.247-25", "x", None, "39053344705"]))
    assert verdicts == [
        Verdict(0, True, "52998224725"),
        Verdict(1, False, None),
        Verdict(2, False, None),
        Verdict(3, True, "39053344705"),
    ]
    position, valid, canonical = verdicts[0]
    assert (position, valid, canonical) == (0, True, "52998224725")


def test_values_are_taken_one_by_one() -> None:
    endless = validate_many("cep", (f"{n:08}" for n in itertools.count()))
    assert [verdict.canonical for verdict in itertools.islice(endless, 2)] == [
        "00000000",
        "00000001",
    ]


def test_kind_and_strictness() -> None:
    lenient = validate_many("cnpj", [" 12abc34501de35\n"], strictness=Strictness.LENIENT)
    assert next(lenient).canonical == "12ABC34501DE35"
    assert next(validate_many(ie_kind("SP"), ["110.042.490.114"])).valid


def test_a_wrong_call_is_refused_before_the_first_value() -> None:
    with pytest.raises(KeyError, match="unknown kind 'rg'"):
        validate_many("rg", [])
    with pytest.raises(TypeError, match="strictness must be a Strictness"):
        validate_many("cpf", [], strictness="lenient")  # type: ignore[arg-type]
    for one in ("52998224725", b"52998224725"):
        with pytest.raises(TypeError, match="values must be several values, not one"):
            validate_many("cpf", one)


def command(*options: str, given: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", PACKAGE, *options]
    return subprocess.run(line, input=given, capture_output=True, check=False, **more)


def test_canonical_forms_rejects_counts_and_status() -> None:
    done = command("cnpj", given="\n".join(LINES).encode())
    assert done.stdout.decode().splitlines() == ["11222333000181", "12ABC34501DE35"]
    errors = done.stderr.decode().splitlines()
    assert errors[0].startswith("3:14: cnpj_checksum: Not a valid CNPJ: ")
    assert errors[1].startswith("5:3: cnpj_characters: ")
    assert errors[2:] == ["4 read, 2 valid, 2 refused"]
    assert done.returncode == 1
    assert b"12ABC34501DE36" not in done.stderr


def test_options() -> None:
    given = "\n".join(LINES).encode()
    done = command("cnpj", "--lenient", "--masked", "--lang", "pt", given=given)
    assert "12.ABC.345/01DE-35" in done.stdout.decode().splitlines()
    assert "Não vale como CNPJ" in done.stderr.decode()
    assert done.stderr.decode().splitlines()[-1] == "4 lidos, 3 válidos, 1 recusados"
    shown = command("cnpj", "--show", "--quiet", given=given)
    assert shown.stdout == b""
    assert "'12ABC34501DE36'" in shown.stderr.decode()


def test_all_valid_is_status_0_and_a_wrong_command_line_2() -> None:
    assert command("ie_sp", given=b"110.042.490.114\r\n").returncode == 0
    assert command("cpf").returncode == 0
    wrong = command("rg")
    assert wrong.returncode == 2
    assert b"unknown kind 'rg'; one of arrecadacao, boleto" in wrong.stderr


def test_hostile_lines_are_refused_and_bounded() -> None:
    given = b"\xff\xfe\n" + b"5" * 1_000_000 + b"\n\x00\n52998224725"
    done = command("cpf", given=given)
    assert done.stdout == b"52998224725\n"
    assert done.stderr.decode().splitlines()[-1] == "4 read, 1 valid, 3 refused"


def test_the_byte_order_mark_of_a_file_is_no_part_of_its_first_number() -> None:
    done = command("cpf", given=b"\xef\xbb\xbf52998224725\r\n\xef\xbb\xbf52998224725\n")
    assert done.stdout == b"52998224725\n"
    assert done.stderr.decode().splitlines()[-1] == "2 read, 1 valid, 1 refused"


@pytest.mark.parametrize("redirected", ["> /dev/full", ">&-", "<&-", "2>&-"])
def test_a_broken_stream_does_not_pass_for_refused_lines(redirected: str, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    numbers.write_text("52998224725\n" * 2)
    line = f"'{sys.executable}' -m {PACKAGE} cpf < '{numbers}' {redirected}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_who_reads_our_output_may_stop(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    numbers.write_text("52998224725\n" * 200_000)
    line = f"'{sys.executable}' -m {PACKAGE} cpf < '{numbers}' | head -n 1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout == "52998224725\n"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_terminal_gets_a_bar_and_a_file_none(tmp_path: Path) -> None:
    from tijolo.br_validators.__main__ import _Lines, _Progress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, paper = Terminal(), io.StringIO()
    for target in (screen, paper):
        progress = _Progress(target, 24)
        progress._drawn_at = -1.0  # long ago
        assert list(_Lines(io.BytesIO(b"52998224725\n" * 2), progress)) == ["52998224725"] * 2
        progress.clear()
    assert "[###############               ]  50%" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")
    assert paper.getvalue() == ""


def test_on_a_real_terminal_the_counts_stand_alone(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    numbers.write_text("52998224725\n" * 10)
    parent, child = pytest.importorskip("pty").openpty()
    with numbers.open("rb") as given:
        done = subprocess.run(
            [sys.executable, "-m", PACKAGE, "cpf", "--quiet"],
            stdin=given,
            stderr=child,
            check=False,
        )
    os.close(child)
    assert b"10 read, 10 valid, 0 refused" in os.read(parent, 4096)
    os.close(parent)
    assert done.returncode == 0
