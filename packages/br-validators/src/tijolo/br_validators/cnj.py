"""The number of a court case, ``NNNNNNN-DD.AAAA.J.TR.OOOO``.

Sequence, check digits, year, segment of the judiciary, court, unit of origin. Source: CNJ,
Resolução 65/2008: the check digits are 98 less the remainder of all other digits, in the order
written and followed by ``00``, divided by 97 (ISO 7064, MOD 97-10). Which courts exist in each
segment is that resolution's art. 1 with its later amendments (Resolução 477/2022 for the TRF6).
"""

from __future__ import annotations

from . import _lazy
from ._lazy import digits
from ._mask import Mask
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_STATES = (
    *("AC", "AL", "AP", "AM", "BA", "CE", "DF", "ES", "GO", "MA", "MT", "MS", "MG", "PA"),
    *("PB", "PR", "PE", "PI", "RJ", "RN", "RS", "RO", "RR", "SC", "SE", "SP", "TO"),
)


def _numbered(name: str, last: int) -> dict[str, str]:
    return {f"{number:02}": f"{name}{number}" for number in range(1, last + 1)}


def _of_states(name: str) -> dict[str, str]:
    return {f"{number:02}": name + state for number, state in enumerate(_STATES, 1)}


_COURTS = {
    "1": {"00": "STF"},
    "2": {"00": "CNJ"},
    "3": {"00": "STJ"},
    "4": {**_numbered("TRF", 6), "90": "CJF"},
    "5": {"00": "TST", **_numbered("TRT", 24), "90": "CSJT"},
    "6": {"00": "TSE", **_of_states("TRE-")},
    "7": {"00": "STM", **_numbered("CJM", 12)},
    "8": {**_of_states("TJ"), "07": "TJDFT"},
    "9": {"13": "TJMMG", "21": "TJMRS", "26": "TJMSP"},
}


def _corrected(bare: str) -> str:
    rest = bare[:7] + bare[9:]
    return f"{bare[:7]}{98 - int(rest) * 100 % 97:02}{bare[9:]}"


def _rule(bare: str) -> str:
    courts = _COURTS.get(bare[13])
    if courts is None:
        return "segment"
    return "" if bare[14:16] in courts else "court"


def _accepts(text: str) -> bool:
    return (
        text.isdigit()
        and text.isascii()
        and int(text[:7] + text[9:] + text[7:9]) % 97 == 1
        and "02" <= text[7:9] <= "98"  # 00 and 01 are 97 and 98 modulo 97
        and not _rule(text)
    )


def _invent(random: Random) -> str:
    segment = random.choice(sorted(_COURTS))
    court = random.choice(sorted(_COURTS[segment]))
    year = str(random.randrange(2000, 2027))
    head = digits(random, 7) + "00" + year + segment + court
    return _corrected(head + digits(random, 4))


def parse_cnj(value: str, *, strictness: Strictness = STRICT) -> _lazy.CNJParts:
    """The parts of a court case number; raise as ``normalize_cnj`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    return _lazy.CNJParts(
        number=bare,
        sequence=bare[:7],
        check_digits=bare[7:9],
        year=int(bare[9:13]),
        segment=int(bare[13]),
        court=bare[14:16],
        court_name=_COURTS[bare[13]][bare[14:16]],
        origin=bare[16:],
    )


KIND = Kind(
    "cnj",
    Mask("0000000-00.0000.0.00.0000"),
    rule=_rule,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("00020802520125150049", "0002080-25.2012.5.15.0049"),
    expected={
        "segment": ("a segment of the judiciary, 1 to 9", "um segmento do Judiciário, de 1 a 9"),
        "court": ("a court of that segment", "um tribunal desse segmento"),
    },
    places={"segment": 13, "court": 14},
    parse=parse_cnj,
)
is_valid_cnj = KIND.is_valid
normalize_cnj = KIND.normalize
format_cnj = KIND.format
generate_cnj = KIND.generate
explain_cnj = KIND.explain
suggest_cnj = KIND.suggest
