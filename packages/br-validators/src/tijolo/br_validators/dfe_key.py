"""Chave de acesso, the key of an electronic fiscal document (DF-e): NF-e, NFC-e, CT-e and others.

Forty-four characters: state (IBGE), year and month, issuer, model, series, number, emission type,
code, check digit. Letters may only stand in the issuer's CNPJ, since July 2026 (Nota Técnica
Conjunta ENCAT 2025.001 v1.00, items 4 and 5 and Anexo II). The check digit is modulo 11 over the
other 43, a character being worth its ASCII code less 48, weights 2 to 9 from the right, remainders
0 and 1 giving 0. The issuer is a CNPJ, or a CPF with three zeros in front (MOC, rule BA02-30, which
ties it to series 920 to 969; by some readings from 910: the series only settles the few that could
be both). Models 62, 66, 75 and 76 have the authorisation site in the place of the code's first
digit. Series, emission type and code are not judged, nor whether letters come in a key older than
July 2026: the test environments had them before.
"""

from __future__ import annotations

from . import _lazy
from ._checks import cycle, mod11
from ._lazy import digits
from ._mask import Mask
from ._states import BY_IBGE, STATE_CODE
from .cnpj import KIND as CNPJ
from .cnpj import is_valid_cnpj
from .cpf import is_valid_cpf
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random
    from typing import Literal

_MODELS = {
    "55": "NF-e",
    "57": "CT-e",
    "58": "MDF-e",
    "62": "NFCom",
    "63": "BP-e",
    "64": "GTV-e",
    "65": "NFC-e",
    "66": "NF3e",
    "67": "CT-e OS",
    "75": "NFAg",
    "76": "NFGas",
}
_WITH_SITE = ("62", "66", "75", "76")

_check = mod11(cycle((2, 3, 4, 5, 6, 7, 8, 9), 43))


def _corrected(bare: str) -> str:
    return bare[:43] + _check(bare)


def _rule(bare: str) -> str:
    if bare[:2] not in BY_IBGE:
        return "state"
    if not "01" <= bare[4:6] <= "12":
        return "month"
    if bare[20:22] not in _MODELS:
        return "model"
    if bare[25:34] == "000000000":
        return "number"
    return "" if _issuer(bare)[0] else "issuer"


def _issuer(bare: str) -> tuple[str, Literal["cnpj", "cpf"]]:
    issuer = bare[6:20]
    person = issuer[:3] == "000" and is_valid_cpf(issuer[3:])
    if person and ("910" <= bare[22:25] <= "969" or not is_valid_cnpj(issuer)):
        return issuer[3:], "cpf"
    return (issuer if is_valid_cnpj(issuer) else ""), "cnpj"


def _invent(random: Random) -> str:
    state, model = random.choice(sorted(BY_IBGE)), random.choice(sorted(_MODELS))
    month = f"{random.randrange(6, 30):02}{random.randrange(1, 13):02}"
    number = f"{random.randrange(1, 10**9):09}"
    issuer = CNPJ.generate(random=random)
    series = f"{random.randrange(1, 890):03}"
    return _corrected(f"{state}{month}{issuer}{model}{series}{number}1{digits(random, 8)}0")


def parse_dfe_key(value: str, *, strictness: Strictness = STRICT) -> _lazy.DFeKeyParts:
    """Issuer, month, model and number of a document; raise as ``normalize_dfe_key`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    issuer, issuer_kind = _issuer(bare)
    model = bare[20:22]
    code_at = 36 if model in _WITH_SITE else 35
    return _lazy.DFeKeyParts(
        key=bare,
        state=BY_IBGE[bare[:2]],
        year=2000 + int(bare[2:4]),
        month=int(bare[4:6]),
        issuer=issuer,
        issuer_kind=issuer_kind,
        model=model,
        model_name=_MODELS[model],
        series=int(bare[22:25]),
        number=int(bare[25:34]),
        emission_type=int(bare[34]),
        site=bare[35:code_at],
        code=bare[code_at:43],
        check_digit=bare[43],
    )


KIND = Kind(
    "dfe_key",
    Mask("0000 00XX XXXX XXXX XX00 0000 0000 0000 0000 0000 0000"),
    rule=_rule,
    corrected=_corrected,
    invent=_invent,
    examples=(
        "35260812ABC34501DE35550010000000011152191428",
        "3526 0812 ABC3 4501 DE35 5500 1000 0000 0111 5219 1428",
    ),
    expected={
        "state": STATE_CODE,
        "month": ("a month from 01 to 12", "um mês de 01 a 12"),
        "model": ("a model such as 55 or 65", "um modelo como 55 ou 65"),
        "number": ("a document number above 0", "um número de documento maior que 0"),
        "issuer": (
            "a valid CNPJ, or a CPF after three zeros",
            "um CNPJ válido, ou um CPF depois de três zeros",
        ),
    },
    places={"state": 0, "month": 4, "model": 20, "number": 25, "issuer": 6},
    parse=parse_dfe_key,
)
is_valid_dfe_key = KIND.is_valid
normalize_dfe_key = KIND.normalize
format_dfe_key = KIND.format
generate_dfe_key = KIND.generate
explain_dfe_key = KIND.explain
suggest_dfe_key = KIND.suggest
