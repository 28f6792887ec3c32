"""BR Code, the payload of a PIX QR code: read, checked, built.

Source: Banco Central, Manual do BR Code and Manual de Padrões para Iniciação do PIX, on EMV QRCPS
Merchant-Presented Mode. Fields of two digits of name, two of length and a value: 00 the version,
26 to 51 the account (00 ``br.gov.bcb.pix``, 01 the key or 25 the address of a charge, 02 a text),
52 the category, 53 the currency 986, 54 the amount, 58 BR, 59 the name of at most 25 characters,
60 the city of at most 15, 62 05 the transaction (``***`` for none), 63 the CRC-16/CCITT-FALSE
(polynomial 0x1021, first value 0xFFFF) of all before its own value. ASCII alone: accents, which
some banks let through, are refused. What the fields say beyond this is not judged.
"""

from __future__ import annotations

from . import _lazy
from ._text import exact_str
from .kind import Kind
from .pix_key import KIND as PIX_KEY
from .strictness import STRICT, Strictness, is_lenient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

    from ._messages import Text

LONGEST = 512
_GUI = "br.gov.bcb.pix"
_NO_TXID = "***"
_EXAMPLE = (  # the manual's
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR"
    "5913Fulano de Tal6008BRASILIA62070503***63041D3D"
)

_EXPECTED: dict[str, Text] = {
    "length": ("at most 512 characters", "no máximo 512 caracteres"),
    "characters": ("printable ASCII characters", "caracteres ASCII imprimíveis"),
    "structure": (
        "the fields 00, 26 to 51, 52, 53, 58, 59, 60 and, at the end, 63",
        "os campos 00, 26 a 51, 52, 53, 58, 59, 60 e, no fim, o 63",
    ),
    "checksum": ("the CRC of the fields before it", "o CRC dos campos anteriores"),
    "account": (
        "an account of br.gov.bcb.pix with a key or an address",
        "uma conta de br.gov.bcb.pix com chave ou endereço",
    ),
    "key": ("a PIX key in its canonical form", "uma chave PIX na forma canônica"),
}


def _crc(text: str) -> str:
    from binascii import crc_hqx

    return f"{crc_hqx(text.encode(), 0xFFFF):04X}"


def _fields(text: str) -> dict[str, str]:
    """The fields by their names; empty where the text is not a row of fields."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(text):
        head = text[at : at + 4]
        if not (len(head) == 4 and head.isdigit()):
            return {}
        end = at + 4 + int(head[2:])
        if end > len(text) or head[:2] in fields or end == at + 4:
            return {}
        fields[head[:2]] = text[at + 4 : end]
        at = end
    return fields


def _account(fields: dict[str, str]) -> dict[str, str]:
    for name in range(26, 52):
        account = _fields(fields.get(str(name), ""))
        if account.get("00", "").lower() == _GUI:
            return account
    return {}


def _rule(payload: str) -> str:
    fields = _fields(payload)
    if not _has_structure(fields) or payload[-8:-4] != "6304":
        return "structure"
    if _crc(payload[:-4]) != payload[-4:]:
        return "checksum"
    account = _account(fields)
    key, url = account.get("01"), account.get("25")
    if (key is None) == (url is None):
        return "account"
    if key is not None and not (PIX_KEY.is_valid(key) and PIX_KEY.normalize(key) == key):
        return "key"
    return ""


def _has_structure(fields: dict[str, str]) -> bool:
    category, amount = fields.get("52", ""), fields.get("54", "0")
    return (
        next(iter(fields), "") == "00"
        and fields["00"] == "01"
        and len(category) == 4
        and category.isdigit()
        and fields.get("53") == "986"
        and fields.get("58") == "BR"
        and 1 <= len(fields.get("59", "")) <= 25
        and 1 <= len(fields.get("60", "")) <= 15
        and _is_amount(amount)
        and _is_txid(_fields(fields.get("62", "")).get("05", _NO_TXID))
    )


def _is_amount(text: str) -> bool:
    reais, point, centavos = text.partition(".")
    return (
        len(text) <= 13
        and reais.isdigit()
        and (not point or (centavos.isdigit() and len(centavos) <= 2))
    )


def _is_txid(text: str) -> bool:
    return text == _NO_TXID or (text.isalnum() and len(text) <= 25)


def _read(value: object, strictness: Strictness) -> tuple[str, str]:
    lenient = is_lenient(strictness)
    text = exact_str(value, LONGEST + 64)  # and the white space around it
    if text is None:
        return "", "type"
    if lenient:
        text = text.strip(" \t\n\r\v\f")
        text = text[:-4] + text[-4:].upper() if text.isascii() else text
    if not 0 < len(text) <= LONGEST:
        return "", "length"
    return (text, "") if text.isascii() and text.isprintable() else ("", "characters")


def parse_br_code(value: str, *, strictness: Strictness = STRICT) -> _lazy.BRCodeParts:
    """Key, name, amount and transaction of a payload; raise as ``normalize_br_code`` does."""
    payload = KIND.normalize(value, strictness=strictness)
    fields = _fields(payload)
    account = _account(fields)
    amount = fields.get("54")
    txid = _fields(fields.get("62", "")).get("05", _NO_TXID)
    return _lazy.BRCodeParts(
        payload=payload,
        key=account.get("01"),
        url=account.get("25"),
        description=account.get("02"),
        merchant_name=fields["59"],
        merchant_city=fields["60"],
        merchant_category=fields["52"],
        amount=None if amount is None else _lazy.Decimal(amount),
        txid=None if txid == _NO_TXID else txid,
        single_use=fields.get("01") == "12",
    )


def build_br_code(
    *,
    merchant_name: str,
    merchant_city: str,
    key: str | None = None,
    url: str | None = None,
    amount: _lazy.Decimal | int | None = None,
    txid: str | None = None,
    description: str | None = None,
    single_use: bool = False,
    merchant_category: str = "0000",
) -> str:
    """The payload of a static code (``key``) or of a dynamic one (``url``, without ``https://``).

    Accents are taken off name, city and description; nothing is cut to length.

    Raises:
        BRValueError: ``key`` is not a PIX key.
        ValueError: neither or both of ``key`` and ``url``; a ``url`` with its scheme or with
            spaces; a field too long; an amount that is not above 0, has more than two decimals
            or more than 13 characters.
        TypeError: an amount that is a float.
    """
    if (key is None) == (url is None):
        raise ValueError("give either key or url")
    account = [("00", _GUI)]
    if key is not None:
        account.append(("01", PIX_KEY.normalize(key)))
    if url is not None:
        if "://" in url or " " in url:
            raise ValueError("url must be an address without https:// and without spaces")
        account.append(("25", url))
    if description is not None:
        account.append(("02", _plain(description)))
    payload = _row(
        ("00", "01"),
        ("01", "12" if single_use else ""),
        ("26", _row(*account)),
        ("52", merchant_category),
        ("53", "986"),
        ("54", "" if amount is None else _amount(amount)),
        ("58", "BR"),
        ("59", _plain(merchant_name)),
        ("60", _plain(merchant_city)),
        ("62", _row(("05", txid or _NO_TXID))),
    )
    payload += "6304"
    payload += _crc(payload)
    explanation = KIND.explain(payload)
    if explanation is not None:
        raise ValueError(
            "not a BR Code: merchant_name has 1 to 25 characters, merchant_city 1 to 15, txid up "
            "to 25 letters and digits, merchant_category 4 digits, all together up to "
            f"{LONGEST}, and all are ASCII; broken rule: {explanation.rule}"
        )
    return payload


def _row(*fields: tuple[str, str]) -> str:
    for name, value in fields:
        if len(value) > 99:
            raise ValueError(f"field {name} has {len(value)} characters, at most 99 fit")
    return "".join([f"{name}{len(value):02}{value}" for name, value in fields if value])


def _amount(amount: _lazy.Decimal | int) -> str:
    if isinstance(amount, bool) or not isinstance(amount, _lazy.Decimal | int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"amount must be a Decimal or an int, not {type(amount).__name__!r}")
    exact = _lazy.Decimal(amount)
    if exact.is_finite() and exact >= 10**10:
        raise ValueError("amount must have at most 13 characters")
    # written and read back, not rounded: the caller's decimal context may have few digits
    text = f"{exact:.2f}"
    if not exact.is_finite() or exact <= 0 or exact != _lazy.Decimal(text):
        raise ValueError("amount must be above 0 and have at most two decimals")
    return text


def _plain(text: str) -> str:
    """``text`` without accents."""
    from unicodedata import combining, normalize

    return "".join([c for c in normalize("NFD", text) if not combining(c)])


def _invent(random: Random) -> str:
    return build_br_code(
        key=PIX_KEY.generate(random=random),
        merchant_name="Fulano de Tal",
        merchant_city="BRASILIA",
        amount=random.randrange(1, 1000) if random.random() < 0.5 else None,
        txid=f"T{random.randrange(10**9)}",
    )


class _Payload:
    """How payloads are written, for ``Kind``."""

    pattern = canonical_pattern = "000201[ -~]{40,498}6304[0-9A-F]{4}"
    lengths = ()
    longest = LONGEST

    def alphabet(self, at: int, length: int) -> str:
        return ""  # nobody types these

    def expected(self, rule: str) -> Text:
        return _EXPECTED[rule]

    def apply(self, bare: str) -> str:
        return bare

    def read(self, value: object, strictness: Strictness) -> tuple[str, str]:
        return _read(value, strictness)

    def bare(self, value: object, strictness: Strictness) -> str:
        return _read(value, strictness)[0]

    def first_misfit(self, text: str, strictness: Strictness) -> int:
        return next((at for at, c in enumerate(text) if not " " <= c <= "~"), len(text))


KIND = Kind(
    "br_code",
    _Payload(),
    rule=_rule,
    invent=_invent,
    examples=(_EXAMPLE,),
    expected=_EXPECTED,
    parse=parse_br_code,
)
is_valid_br_code = KIND.is_valid
normalize_br_code = KIND.normalize
format_br_code = KIND.format
generate_br_code = KIND.generate
explain_br_code = KIND.explain
suggest_br_code = KIND.suggest
