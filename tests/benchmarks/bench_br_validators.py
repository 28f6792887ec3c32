"""tijolo.br_validators against the five libraries that validate the same numbers.

A row counts a peer only where it answers right for every sample of the row and, in the rows of
invalid numbers, where it accepts the valid numbers of the same spelling: a library that refuses
every masked number has done no work on a masked invalid one. The title names those left out.

Six times faster is the goal for CPF and CNPJ where a peer computes check digits, three times for
the other kinds. What is refused by its shape costs
the fastest peer a ``len()`` or an ``isdigit()``, and six calls of ours do not fit into one of
those: no goal there, and the title says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count, cycle, islice
from random import Random
from sys import modules
from time import perf_counter, thread_time
from typing import Annotated

import brutils
import brutils.license_plate
import pycpfcnpj.cnpj
import pycpfcnpj.cpf
import pycpfcnpj.cpfcnpj
import validate_docbr
from brutils import cnh as brutils_cnh
from brutils import pis as brutils_pis
from brutils import renavam as brutils_renavam
from brutils import voter_id as brutils_voter_id
from erpbrasil.base.fiscal import cnpj_cpf as erpbrasil
from erpbrasil.base.fiscal import ie as erpbrasil_ie
from erpbrasil.base.fiscal import pis as erpbrasil_pis
from erpbrasil.base.fiscal.codigo_municipio import validar_codigo_municipio
from erpbrasil.base.fiscal.dfe import ChaveDFe
from pydantic import AfterValidator, BaseModel, TypeAdapter
from stdnum.br import cnpj as stdnum_cnpj
from stdnum.br import cpf as stdnum_cpf

import tijolo.br_validators as br
from tests.benchmarks.harness import Contender, Group, Operation

Check = Callable[[str], object]

SIX_TIMES = 1 / 6
THREE_TIMES = 1 / 3
PARITY = 1.0
SAMPLES = 500

Spoil = Callable[[str], str]
"""Make a valid number one to refuse."""

REFUSALS: dict[str, tuple[float, Spoil]] = {  # what is wrong: (goal, how)
    "last check digit wrong": (SIX_TIMES, lambda number: number[:-1] + _other(number[-1])),
    "first check digit wrong": (
        SIX_TIMES,
        lambda number: number[:-2] + _other(number[-2]) + number[-1],
    ),
    "one character short": (PARITY, lambda number: number[:-1]),
    "one character long": (PARITY, lambda number: number + "1"),
    "a letter for a check digit": (PARITY, lambda number: number[:-1] + "A"),
    "a small letter inside": (PARITY, lambda number: number[:4] + "a" + number[5:]),
    "one digit repeated": (
        PARITY,
        lambda number: "".join([number[-1] if c.isalnum() else c for c in number]),
    ),
}


def _other(digit: str) -> str:
    return str((int(digit) + 5) % 10)


CPF_PEERS: dict[str, Check] = {
    "brutils": brutils.is_valid_cpf,
    "validate-docbr": validate_docbr.CPF().validate,
    "python-stdnum": stdnum_cpf.is_valid,
    "pycpfcnpj": pycpfcnpj.cpf.validate,
    "erpbrasil.base": erpbrasil.validar_cpf,
}
CNPJ_PEERS: dict[str, Check] = {
    "brutils": brutils.is_valid_cnpj,
    "validate-docbr": validate_docbr.CNPJ().validate,
    "python-stdnum": stdnum_cnpj.is_valid,
    "pycpfcnpj": pycpfcnpj.cnpj.validate,
    "erpbrasil.base": erpbrasil.validar_cnpj,
}
EITHER_PEERS: dict[str, Check] = {
    "pycpfcnpj": pycpfcnpj.cpfcnpj.validate,
    "erpbrasil.base": erpbrasil.validar,
}


def erpbrasil_dfe_key(value: str) -> bool:
    """The constructor is the validator."""
    try:
        ChaveDFe(value, validar=True)
    except ValueError:
        return False
    return True


OTHERS: dict[str, dict[str, Check]] = {  # kind: its peers
    "pis": {
        "brutils": brutils_pis.is_valid,
        "validate-docbr": validate_docbr.PIS().validate,
        "erpbrasil.base": erpbrasil_pis.validar,
    },
    "titulo_eleitor": {
        "brutils": brutils_voter_id.is_valid,
        "validate-docbr": validate_docbr.TituloEleitoral().validate,
    },
    "cnh": {"brutils": brutils_cnh.is_valid_cnh, "validate-docbr": validate_docbr.CNH().validate},
    "renavam": {
        "brutils": brutils_renavam.is_valid_renavam,
        "validate-docbr": validate_docbr.RENAVAM().validate,
    },
    "cns": {"validate-docbr": validate_docbr.CNS().validate},
    "certidao": {"validate-docbr": validate_docbr.Certidao().validate},
    "cnj": {"brutils": brutils.is_valid_legal_process},
    "plate": {"brutils": brutils.license_plate.is_valid},
    "ibge_municipio": {"erpbrasil.base": validar_codigo_municipio},
    "dfe_key": {"erpbrasil.base": erpbrasil_dfe_key},
    "ie_sp": {"erpbrasil.base": lambda value: erpbrasil_ie.validar("sp", value)},
    "ie_rs": {"erpbrasil.base": lambda value: erpbrasil_ie.validar("rs", value)},
    "ie_pr": {"erpbrasil.base": lambda value: erpbrasil_ie.validar("pr", value)},
    "ie_mg": {"erpbrasil.base": lambda value: erpbrasil_ie.validar("mg", value)},
    "ie_rj": {"erpbrasil.base": lambda value: erpbrasil_ie.validar("rj", value)},
}


KNOWN: dict[str, Check] = {  # what the peers know of a kind: others would leave them all out
    "dfe_key": lambda bare: bare[20:22] in ("55", "57", "65"),
    "ie_sp": lambda bare: bare[0] != "P",
}


def groups() -> list[Group]:
    """Every spelling of CPF and CNPJ, the other kinds, Pydantic fields, and the import."""
    return [
        *rows("CPF", br.is_valid_cpf, CPF_PEERS, br.generate_cpf),
        *rows("CNPJ numeric", br.is_valid_cnpj, CNPJ_PEERS, br.generate_cnpj),
        *rows("CNPJ alphanumeric", br.is_valid_cnpj, CNPJ_PEERS, alphanumeric),
        *rows("CPF or CNPJ", br.is_valid_cpf_cnpj, EITHER_PEERS, br.generate_cpf_cnpj),
        *other_rows(),
        *plain_rows(),
        *pydantic_rows(),
        import_row(),
    ]


def other_rows() -> Iterable[Group]:
    """The kinds that some peer has: valid, and with a wrong last digit; bare, and masked."""
    for name, peers in OTHERS.items():
        kind = br.KINDS[name]
        for spelling, masked in (("raw", False), ("masked", True)):
            random = Random(20260701)
            known = KNOWN.get(name, bool)
            numbers = (kind.generate(masked=masked, random=random) for _ in count())
            valid = list(islice((n for n in numbers if known(kind.normalize(n))), SAMPLES))
            if masked and not any(map(set(".-/ ").intersection, valid)):
                continue  # this kind has no mask
            wrong = [number[:-1] + _other(number[-1]) for number in valid]
            able = {n: check for n, check in peers.items() if answers(check, valid, True)}
            for what, samples, expected in (
                ("valid", valid, True),
                ("last digit wrong", wrong, False),
            ):
                if not answers(kind.is_valid, samples, expected):
                    continue  # the last character is no check digit
                right = {n: c for n, c in able.items() if answers(c, samples, expected)}
                note = left_out(peers, right)
                if not right:
                    print(f"\nB2  {name}, {spelling}, {what}: no peer is right{note}")
                    continue
                title = f"{name}, {spelling}, {what}"
                yield row(title, kind.is_valid, right, samples, note, THREE_TIMES)


def import_row() -> Group:
    """The package's import, all of its modules dropped first, against 5 ms."""

    def five_milliseconds(count: int) -> None:
        until = perf_counter() + 0.005 * count
        while perf_counter() < until:
            pass

    def afresh(count: int) -> None:
        for _ in range(count):
            kept = {n: modules.pop(n) for n in list(modules) if n.startswith(br.__name__)}
            __import__(br.__name__)
            modules.update(kept)

    return Group(
        row="B2",
        title="import tijolo.br_validators",
        contenders=[
            Contender(name="5 ms", run=five_milliseconds, role="baseline"),
            Contender(name="tijolo.br_validators", run=afresh, goal=1.0),
        ],
    )


def alphanumeric(*, masked: bool, random: Random) -> str:
    """A CNPJ with letters."""
    return br.generate_cnpj(alphanumeric=True, masked=masked, random=random)


def rows(
    kind: str, subject: Check, peers: dict[str, Check], generate: Callable[..., str]
) -> Iterable[Group]:
    """Raw and masked, valid and refused for each reason."""
    random = Random(20260701)
    for spelling, masked in (("raw", False), ("masked", True)):
        valid = [generate(masked=masked, random=random) for _ in range(SAMPLES)]
        able = {n: check for n, check in peers.items() if answers(check, valid, True)}
        yield row(f"{kind}, {spelling}, valid", subject, able, valid, left_out(peers, able))
        for what, (goal, spoil) in REFUSALS.items():
            refused = [spoil(number) for number in valid]
            assert answers(subject, refused, False), (kind, what)
            right = {n: check for n, check in able.items() if answers(check, refused, False)}
            if not right:
                continue  # nobody to compare with
            note = " [refused by its shape: no goal]" if goal == PARITY else ""
            title = f"{kind}, {spelling}, {what}{note}"
            yield row(
                title,
                subject,
                right,
                refused,
                left_out(peers, right),
                None if goal == PARITY else goal,
            )


def answers(check: Check, samples: list[str], expected: bool) -> bool:
    """Whether ``check`` gives the expected answer for every sample, without raising."""
    try:
        return all(bool(check(sample)) is expected for sample in samples)
    except Exception:
        return False


def left_out(peers: dict[str, Check], counted: dict[str, Check]) -> str:
    """What the title says of peers that answer wrong."""
    names = sorted(set(peers) - set(counted))
    return f" (wrong, not counted: {', '.join(names)})" if names else ""


def row(
    title: str,
    subject: Check,
    peers: dict[str, Check],
    samples: list[str],
    note: str,
    goal: float | None = SIX_TIMES,
) -> Group:
    """One interleaved group; the baseline is the fastest peer."""
    contenders = [Contender(name=n, run=over(f, samples), role="peer") for n, f in peers.items()]
    ours = Contender(name="tijolo.br_validators", run=over(subject, samples), goal=goal)
    contenders.append(ours)
    return Group(
        row="B1",
        title=title + note,
        contenders=contenders,
        clock=thread_time,
        rounds=30,
        slice_seconds=0.005,
    )


def over(check: Check, samples: list[str]) -> Operation:
    """Call ``check`` on the samples in turn."""

    def run(count: int) -> None:
        for sample in islice(cycle(samples), count):
            check(sample)

    return run


def plain_rows() -> Iterable[Group]:
    """Phone and CEP: no check digits; brutils looks at the characters, and only in raw numbers."""
    random = Random(749)
    phones = [br.generate_phone_br(random=random) for _ in range(SAMPLES)]
    ceps = [br.generate_cep(random=random) for _ in range(SAMPLES)]
    for title, ours, peer, samples in (
        ("phone, raw, valid", br.is_valid_phone_br, brutils.is_valid_phone, phones),
        (
            "CEP, raw, valid (the peer: len and isdigit, of any alphabet)",
            br.is_valid_cep,
            brutils.is_valid_cep,
            ceps,
        ),
        (
            "phone, raw, one character long",
            br.is_valid_phone_br,
            brutils.is_valid_phone,
            [number + "1" for number in phones],
        ),
        (
            "phone, raw, a letter inside",
            br.is_valid_phone_br,
            brutils.is_valid_phone,
            [number[:-1] + "A" for number in phones],
        ),
        (
            "CEP, raw, one character short (the peer: len alone)",
            br.is_valid_cep,
            brutils.is_valid_cep,
            [number[:-1] for number in ceps],
        ),
        (
            "CEP, raw, a letter inside",
            br.is_valid_cep,
            brutils.is_valid_cep,
            [number[:-1] + "A" for number in ceps],
        ),
    ):
        contenders = [
            Contender(name="brutils", run=over(peer, samples), role="peer"),
            Contender(
                name="tijolo.br_validators",
                run=over(ours, samples),
                # six instructions of ours do not fit into the peer's two on a CEP
                goal=THREE_TIMES if title.startswith("phone") else None,
            ),
        ]
        yield Group(row="B1", title=title, contenders=contenders, clock=thread_time)


def pydantic_rows() -> Iterable[Group]:
    """A type of ours against ``str``, alone and as the field of a model."""
    random = Random(2229)
    values = {
        "CPF raw": (br.CPF, [br.generate_cpf(random=random) for _ in range(SAMPLES)]),
        "CPF masked": (
            br.CPF,
            [br.generate_cpf(masked=True, random=random) for _ in range(SAMPLES)],
        ),
        "CNPJ numeric raw": (br.CNPJ, [br.generate_cnpj(random=random) for _ in range(SAMPLES)]),
        "CNPJ alphanumeric raw": (
            br.CNPJ,
            [alphanumeric(masked=False, random=random) for _ in range(SAMPLES)],
        ),
    }
    raw = values["CPF raw"][1]
    docbr = Annotated[
        str, AfterValidator(lambda value: _accepted(CPF_PEERS["validate-docbr"], value))
    ]
    types: dict[str, tuple[TypeAdapter[str], list[str]]] = {
        "str": (TypeAdapter(str), raw),
        "AfterValidator(validate-docbr) CPF raw": (TypeAdapter(docbr), raw),
        **{name: (TypeAdapter(kind), samples) for name, (kind, samples) in values.items()},
    }
    yield Group(
        row="B1",
        title="Pydantic model of one field, from JSON",
        contenders=_models(raw),
        clock=thread_time,
    )
    yield Group(
        row="B1",
        title="Pydantic TypeAdapter.validate_python",
        contenders=[
            _typed(n, over(kind.validate_python, some), goal=12)
            for n, (kind, some) in types.items()
        ],
        clock=thread_time,
    )
    yield Group(
        row="B1",
        title="the same without TypeAdapter's own Python: the Rust validator alone",
        contenders=[
            _typed(n, over(kind.validator.validate_python, some))
            for n, (kind, some) in types.items()
        ],
        clock=thread_time,
    )


def _typed(name: str, run: Operation, goal: float | None = None) -> Contender:
    if name == "str":
        return Contender(name=name, run=run, role="baseline")
    if name.startswith("AfterValidator"):
        return Contender(name=name, run=run, role="peer")
    return Contender(name=name, run=run, goal=goal)


def _accepted(check: Check, value: str) -> str:
    if not check(value):
        raise ValueError
    return value


class _Plain(BaseModel):
    number: str


class _Checked(BaseModel):
    number: br.CPF


def _models(samples: list[str]) -> list[Contender]:
    bodies = [f'{{"number":"{sample}"}}' for sample in samples]
    return [
        Contender(name="str", run=over(_Plain.model_validate_json, bodies), role="baseline"),
        Contender(name="CPF", run=over(_Checked.model_validate_json, bodies), goal=12),
    ]
