"""What holds for every kind, over all of Unicode and every type."""

import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tijolo.br_validators as br
from tijolo.br_validators import BRValueError, Strictness, _mask, cnpj, cpf, phone

KINDS = [name for name in br.KINDS if name != "cnpj_numeric"]
EITHER = [Strictness.STRICT, Strictness.LENIENT]

each_kind = pytest.mark.parametrize("kind", KINDS)
few = settings(max_examples=25)

each_strictness = pytest.mark.parametrize("strictness", EITHER, ids=repr)

# surrogates included: a JSON body can carry them
unicode_text = st.text(st.characters(exclude_categories=()), max_size=24)
near_misses = st.text("0123456789ABDEZabz.-/()+ \n\0５²٣ıſ\ud800", max_size=20)


def verb(name: str, kind: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(br, f"{name}_{kind}")
    return function


def agrees(kind: str, value: object, strictness: Strictness) -> str | None:
    """Valid and normalised are one verdict; the canonical form, or None when refused."""
    verdict = verb("is_valid", kind)(value, strictness=strictness)
    assert verdict is True or verdict is False
    try:
        canonical = verb("normalize", kind)(value, strictness=strictness)
    except BRValueError:
        assert verdict is False
        return None
    assert verdict is True
    assert type(canonical) is str
    return canonical


@each_strictness
@each_kind
@few
@given(value=unicode_text | near_misses)
def test_no_text_raises_and_what_is_accepted_is_ascii(
    kind: str, strictness: Strictness, value: str
) -> None:
    canonical = agrees(kind, value, strictness)
    if canonical is not None:
        assert value.isascii()
        assert canonical.isprintable()
        assert agrees(kind, canonical, Strictness.STRICT) == canonical


@each_kind
@settings(max_examples=30)
@given(seed=st.integers(), foreign=st.characters(min_codepoint=128, exclude_categories=()))
def test_no_foreign_character_is_accepted_anywhere(kind: str, seed: int, foreign: str) -> None:
    random = Random(seed)
    number = verb("generate", kind)(random=random, masked=random.random() < 0.5)
    at = random.randrange(len(number) + 1)
    for value in (number[:at] + foreign + number[at:], number[:at] + foreign + number[at + 1 :]):
        for strictness in EITHER:
            assert agrees(kind, value, strictness) is None


@each_kind
@settings(max_examples=30)
@given(seed=st.integers(), at=st.integers(0, 20), extra=st.characters(max_codepoint=127))
def test_one_character_too_many_is_read_the_same_by_both_verbs(
    kind: str, seed: int, at: int, extra: str
) -> None:
    masked = verb("generate", kind)(random=Random(seed), masked=True)
    value = masked[:at] + extra + masked[at:]
    strict = agrees(kind, value, Strictness.STRICT)
    lenient = agrees(kind, value, Strictness.LENIENT)
    if strict is not None:
        assert lenient == strict


@each_kind
@few
@given(value=st.none() | st.integers() | st.floats() | st.binary() | st.lists(st.text(max_size=2)))
def test_no_other_type_is_valid_or_raises(kind: str, value: object) -> None:
    for strictness in EITHER:
        assert agrees(kind, value, strictness) is None


@each_kind
@pytest.mark.parametrize("masked", [False, True])
@few
@given(seed=st.integers())
def test_generated_is_valid_and_formatted_parses_back(kind: str, masked: bool, seed: int) -> None:
    number = verb("generate", kind)(random=Random(seed), masked=masked)
    assert number == verb("generate", kind)(random=Random(seed), masked=masked)
    canonical = agrees(kind, number, Strictness.STRICT)
    assert canonical is not None
    formatted = verb("format", kind)(number)
    if masked and kind != "ie":  # without the state there is no mask to put on
        assert formatted == number
    assert agrees(kind, formatted, Strictness.STRICT) == canonical
    assert agrees(kind, f" {formatted}\n", Strictness.LENIENT) == canonical
    assert agrees(kind, f"{formatted}\n", Strictness.STRICT) is None


@each_kind
def test_generates_without_a_given_source(kind: str) -> None:
    numbers = {verb("generate", kind)() for _ in range(20)}
    assert len(numbers) > 1
    assert all(map(verb("is_valid", kind), numbers))


class Hostile(str):
    """A string that breaks or lies in every method that a validator could call."""

    __slots__ = ()

    def _raise(self, *args: object, **kwargs: object) -> Any:
        raise RuntimeError("called")

    __len__ = __getitem__ = __iter__ = __contains__ = __add__ = __bool__ = _raise
    __str__ = __repr__ = __format__ = _raise
    encode = translate = upper = replace = isascii = isdigit = isalnum = isupper = _raise
    startswith = removeprefix = strip = join = split = _raise

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("called")

    __hash__ = None  # type: ignore[assignment]


class Pretender:
    """Something that says it is a string."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        return str


class Unaskable:
    """Something that cannot even be asked what it is."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("asked")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    def __len__(self) -> int:
        raise RuntimeError("measured")

    __hash__ = None  # type: ignore[assignment]


@each_strictness
@each_kind
def test_a_subclass_is_read_by_its_characters_and_none_of_its_code(
    kind: str, strictness: Strictness
) -> None:
    number = verb("generate", kind)(random=Random(1), masked=True)
    canonical = verb("normalize", kind)(number)
    for text in (number, canonical):
        assert agrees(kind, Hostile(text), strictness) == canonical
    assert agrees(kind, Hostile("x" + number), strictness) is None
    for stranger in (Pretender(), Unaskable(), Unaskable, str):
        assert agrees(kind, stranger, strictness) is None


@each_strictness
@each_kind
def test_a_long_subclass_is_not_copied(kind: str, strictness: Strictness) -> None:
    value = Hostile("5" * 4_000_000)
    tracemalloc.start()
    try:
        assert agrees(kind, value, strictness) is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


SUSPECT = [
    *("", "191", "garbage", "5299822472", "529982247255", "529982247A5", "529.982.247-2A"),
    *("5299822472\uff15", "\ud800" * 11, "11222333000180", "11.222.333/0001-8A", "112223330001811"),
    *("12abc34501de35", "12.ABC.345/01DE-36", "0131010", "013101000", "0131-0100", "0131010A"),
    *("1198888777", "119888877778", "11 9888a-7777", "+1 212 555 0123", "(11 98888-7777"),
    *("1" * 1_000_000, " " * 30, "11111111111", "00000000000000", "23988887777", "1193334444"),
]


@each_strictness
@each_kind
def test_a_verdict_does_not_work_out_the_reason(
    monkeypatch: pytest.MonkeyPatch, kind: str, strictness: Strictness
) -> None:
    refused = [value for value in SUSPECT if agrees(kind, value, strictness) is None]
    assert len(refused) > 15

    def asked(*_: object) -> str:
        raise AssertionError("is_valid_* has no use for the broken rule")

    monkeypatch.setattr(_mask.Mask, "_broken_rule", asked)
    monkeypatch.setattr(phone, "_broken_rule", asked)
    assert not any(verb("is_valid", kind)(value, strictness=strictness) for value in refused)


def race(check: Callable[[str], bool], numbers: Iterable[str], wrong: Iterable[str]) -> list[str]:
    failures: list[str] = []
    barrier = threading.Barrier(8)
    cases = [(number, True) for number in numbers] + [(number, False) for number in wrong]

    def run(turn: int) -> None:
        barrier.wait()
        for number, expected in cases[turn:] + cases[:turn]:
            try:
                if check(number) is not expected:
                    failures.append(number)
            except Exception as exc:
                failures.append(repr(exc))

    threads = [threading.Thread(target=run, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize(
    ("module", "check", "generate", "unbuilt"),
    [
        (cpf, br.is_valid_cpf, br.generate_cpf, {"_bare_tables": (), "_masked_tables": ()}),
        (cnpj, br.is_valid_cnpj, br.generate_cnpj, {"_tables": ([], [], [], [], [])}),
    ],
    ids=["cpf", "cnpj"],
)
def test_threads_that_race_on_the_first_use_all_answer_right(
    monkeypatch: pytest.MonkeyPatch, module: Any, check: Any, generate: Any, unbuilt: Any
) -> None:
    random = Random(8)
    numbers = [generate(random=random, masked=masked) for masked in (False, True) for _ in range(8)]
    wrong = [number[:-1] + str((int(number[-1]) + 1) % 10) for number in numbers]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(30):
            for name, empty in unbuilt.items():
                monkeypatch.setattr(module, name, empty)
            assert race(check, numbers, wrong) == []
            assert all(getattr(module, name) is not empty for name, empty in unbuilt.items())
    finally:
        sys.setswitchinterval(interval)
