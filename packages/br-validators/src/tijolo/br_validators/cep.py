"""CEP, the postal code (Código de Endereçamento Postal) of the Correios.

Eight digits, ``00000-000`` when written out (Correios, Guia de Endereçamento), without check
digits. Validation judges the shape alone: whether a code is in use is a fact of the Correios'
table, which changes, so ``00000-000`` passes. ``parse_cep`` names the state by the first three
digits, the ranges that the Correios assign to the states (Faixa de CEP); 000 to 009 and 789 are
nobody's.
"""

from __future__ import annotations

from . import _lazy
from ._lazy import source
from ._mask import Mask
from .errors import BRValueError
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

PATTERN = "^[0-9]{5}-?[0-9]{3}$"
CANONICAL_PATTERN = "^[0-9]{8}$"
EXAMPLES = ("01310100", "01310-100")

_MASK = Mask("00000-000")
_RANGES = (  # last prefix of the range, state
    *((9, None), (199, "SP"), (289, "RJ"), (299, "ES"), (399, "MG"), (489, "BA"), (499, "SE")),
    *((569, "PE"), (579, "AL"), (589, "PB"), (599, "RN"), (639, "CE"), (649, "PI"), (659, "MA")),
    *((688, "PA"), (689, "AP"), (692, "AM"), (693, "RR"), (698, "AM"), (699, "AC"), (727, "DF")),
    *((729, "GO"), (736, "DF"), (767, "GO"), (769, "RO"), (779, "TO"), (788, "MT"), (789, None)),
    *((799, "MS"), (879, "PR"), (899, "SC"), (999, "RS")),
)


def is_valid_cep(value: object, *, strictness: Strictness = STRICT) -> bool:
    """Tell whether ``value`` has the shape of a CEP; only a ``str`` can, and nothing raises."""
    if strictness is STRICT and type(value) is str:
        if len(value) == 8:
            return value.isascii() and value.isdigit()
        if len(value) != 9:
            return False
    return _MASK.bare(value, strictness) != ""


def normalize_cep(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return the 8 bare digits of a CEP.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters`` or ``separators``.
    """
    if strictness is STRICT and type(value) is str and _is_canonical(value):
        return value
    bare, broken = _MASK.read(value, strictness)
    if broken:
        raise BRValueError("cep", broken, KIND.expected(broken)[0])
    return bare


def generate_cep(*, masked: bool = False, random: _lazy.Random | None = None) -> str:
    """Invent a CEP from 01000-000 up, the lowest that the Correios use, for tests."""
    cep = _invent(source(random))
    return _MASK.apply(cep) if masked else cep


def parse_cep(value: str, *, strictness: Strictness = STRICT) -> _lazy.CEPParts:
    """The state in whose range a CEP is; raise as ``normalize_cep`` does."""
    bare = normalize_cep(value, strictness=strictness)
    prefix = int(bare[:3])
    state = next(state for last, state in _RANGES if prefix <= last)
    return _lazy.CEPParts(number=bare, state=state)


def _invent(random: Random) -> str:
    return f"{random.randrange(1_000_000, 100_000_000):08d}"


def _is_canonical(text: str) -> bool:
    return len(text) == 8 and text.isascii() and text.isdigit()


KIND = Kind(
    "cep",
    _MASK,
    invent=_invent,
    examples=EXAMPLES,
    parse=parse_cep,
    tuned={"is_valid": is_valid_cep, "normalize": normalize_cep, "generate": generate_cep},
)
format_cep = KIND.format
explain_cep = KIND.explain
suggest_cep = KIND.suggest
