"""Boleto de cobrança: the 47 digits of the typed line, or the 44 of the bar code.

Bank, currency, check digit, fator de vencimento, amount, 25 digits of the bank's. The general check
digit is modulo 11 over the other 43 digits, weights 2 to 9 from the right, results 0, 10 and 11
giving 1; each of the line's first three fields ends in one modulo 10. Source: Banco Central,
Carta-Circular 2.926/2000; FEBRABAN, layout of the bar code, version 8. A bar code that begins with
8 is that of an arrecadação (FEBRABAN), and refused here. Whether bank and currency exist is not
asked.

The fator de vencimento counts days from 1997-10-07; 9999 was 2025-02-21, and 1000 came again on
2025-02-22. FEBRABAN's Manual Operacional do Fator de Vencimento (2012) says which of its dates is
meant: a slip is payable until 3000 factors after its due date and from 5500 before it, by the
manual's worked example both limits included. Known here at second hand: from implementations
that quote it.
"""

from __future__ import annotations

from . import _lazy
from ._checks import cycle, mod10, mod11
from ._lazy import digits
from ._mask import Mask
from ._slips import LineOrBarcode
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date
    from random import Random

_FACTORS = 9000
_OVERDUE, _AHEAD = 3001, 5500
_ISPB_ONLY = "9880"

_general = mod11(cycle((2, 3, 4, 5, 6, 7, 8, 9), 43), "11987654321")


def barcode_of(line: str) -> str:
    """The bar code of 47 bare digits."""
    return line[:4] + line[32:] + line[4:9] + line[10:20] + line[21:31]


def _line_of(barcode: str) -> str:
    head, free = barcode[:4], barcode[19:]
    fields = head + free[:5], free[5:15], free[15:]
    return "".join([field + mod10(field) for field in fields]) + barcode[4:19]


def _corrected(line: str) -> str:
    barcode = barcode_of(line)
    check = _general(barcode[:4] + barcode[5:])
    return _line_of(barcode[:4] + check + barcode[5:])


def _rule(line: str) -> str:
    return "product" if line[0] == "8" else ""


def _invent(random: Random) -> str:
    bank = f"{random.randrange(1, 800):03}"
    factor = str(random.randrange(1000, 10_000))
    amount = f"{random.randrange(100, 1_000_000):010}"
    return _corrected(_line_of(f"{bank}90{factor}{amount}{digits(random, 25)}"))


def due_factor(due: _lazy.date) -> str:
    """The fator de vencimento of a due date, four digits.

    Raises:
        ValueError: before 2000-07-03, which was factor 1000, the first.
    """
    days = due.toordinal() - _base()
    if days < 1000:
        raise ValueError(f"no fator de vencimento before 2000-07-03, not on {due.isoformat()}")
    return str(1000 + (days - 1000) % _FACTORS)


def parse_boleto(
    value: str, *, today: _lazy.date | None = None, strictness: Strictness = STRICT
) -> _lazy.BoletoParts:
    """Bank, due date and amount of a boleto; raise as ``normalize_boleto`` does.

    ``today`` settles which of the factor's dates is meant; by default that of the UTC clock.
    """
    line = KIND.normalize(value, strictness=strictness)
    barcode = barcode_of(line)
    factor, ispb = barcode[5:9], None
    digits_of_amount = barcode[9:19]
    if line[:4] == _ISPB_ONLY and factor == "0000":
        ispb, digits_of_amount = barcode[11:19], "0"
    due, dues = _due_dates(int(factor), today)
    return _lazy.BoletoParts(
        line=line,
        barcode=barcode,
        bank=line[:3],
        ispb=ispb,
        currency=line[3],
        factor=factor,
        due_date=due,
        due_dates=dues,
        amount=_lazy.Decimal(f"{digits_of_amount}E-2"),  # exact in any decimal context
        free_field=barcode[19:],
    )


def _due_dates(factor: int, today: _lazy.date | None) -> tuple[date | None, tuple[date, ...]]:
    """The date that is payable today, and every date up to the last one that can be."""
    from datetime import UTC, date, datetime

    if factor < 1000:  # the field is not used as a factor
        return None, ()
    now = (today or datetime.now(UTC).date()).toordinal()
    first = _base() + factor
    last = min(max(first + _FACTORS, now + _AHEAD), date.max.toordinal())
    ordinals = range(first, last + 1, _FACTORS)
    payable = [day for day in ordinals if now - _OVERDUE <= day <= now + _AHEAD]
    dates = tuple(map(date.fromordinal, ordinals))
    return (date.fromordinal(payable[0]) if payable else None), dates


def _base() -> int:
    from datetime import date

    return date(1997, 10, 7).toordinal()


KIND = Kind(
    "boleto",
    LineOrBarcode(
        Mask("00000.00000 00000.000000 00000.000000 0 00000000000000"),
        _line_of,
    ),
    rule=_rule,
    corrected=_corrected,
    invent=_invent,
    examples=(
        "00190000090114971860168524522114675860000102656",
        "00190.00009 01149.718601 68524.522114 6 75860000102656",
    ),
    expected={
        "product": ("a boleto, not an arrecadação", "um boleto, não uma guia de arrecadação")
    },
    places={"product": 0},
    parse=parse_boleto,
)
is_valid_boleto = KIND.is_valid
normalize_boleto = KIND.normalize
format_boleto = KIND.format
generate_boleto = KIND.generate
explain_boleto = KIND.explain
suggest_boleto = KIND.suggest
