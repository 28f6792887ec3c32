"""PIX keys: a CPF, a CNPJ (letters included), a mobile phone, an e-mail address, a random key.

Source: Banco Central, Manual Operacional do DICT. In canonical form: the bare number of a CPF or a
CNPJ, ``+55`` and the mobile number, an address in lower case of at most 77 characters, a UUID in
lower case with its hyphens (of any version: the manual's own example is no version 4). Eleven bare
digits may be a CPF and a phone: they are read as a CPF, and a phone is written with ``+55``.
"""

from __future__ import annotations

from . import _lazy, cnpj, cpf, phone
from ._text import exact_str, undress
from .characters import DIGITS
from .kind import OF_THE_SHAPE, Kind
from .strictness import STRICT, Strictness, is_lenient

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from random import Random
    from typing import Literal

    from ._messages import Text

    Which = Literal["cpf", "cnpj", "phone", "email", "evp"]

LONGEST = 77

_EVP = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_LABEL = "[0-9a-z](?:[0-9a-z\\-]{0,61}[0-9a-z])?"
_EMAIL = rf"[0-9a-z.!#$&'*+\/=?^_`\{{\|\}}~\-]+@{_LABEL}(?:\.{_LABEL})*"
_MOBILE = rf"\+55 ?(?:{phone.DDD}|\({phone.DDD}\)) ?9[0-9]{{4}}[ \-]?[0-9]{{4}}"
_CANONICAL_MOBILE = rf"\+55{phone.DDD}9[0-9]{{8}}"

_OF_WHICH = "of a CPF, a CNPJ, a mobile phone with +55, an e-mail address or a random key"
_EXPECTED: dict[str, Text] = {
    "length": ("at most 77 characters", "no máximo 77 caracteres"),
    "characters": ("ASCII characters", "caracteres ASCII"),
    "separators": (f"the form {_OF_WHICH}", "a forma de uma das cinco chaves"),
    "form": (
        f"the form {_OF_WHICH}",
        "um CPF, um CNPJ, um celular com +55, um e-mail ou uma chave aleatória",
    ),
    **{rule: phone.KIND.expected(rule) for rule in ("country", "area_code", "subscriber")},
}


def _which(text: str, *, lenient: bool) -> Which:
    """What ``text`` is written like; nothing is checked yet."""
    if "@" in text:
        return "email"
    if text[:1] == "+" or (lenient and text[:1] == "("):
        return "phone"
    if len(text) == 36 and text.count("-") == 4:
        return "evp"
    if lenient:
        return "cpf" if len(undress(text)) == 11 else "cnpj"
    return "cpf" if len(text) < 14 or text[3:4] == "." else "cnpj"


def _read(value: object, strictness: Strictness, *, why: bool) -> tuple[str, str]:
    """As ``Shape.read``; without ``why``, the rule of a number is not worked out."""
    lenient = is_lenient(strictness)
    text = exact_str(value, LONGEST + 64)  # and the white space around it
    if text is None:
        return "", "type"
    if lenient:
        text = text.strip(" \t\n\r\v\f")
    if len(text) > LONGEST:
        return "", "length"
    if not text.isascii():
        return "", "characters"
    which = _which(text, lenient=lenient)
    if which == "phone":
        return _read_phone(text, strictness, why=why)
    if which in ("email", "evp"):
        return _read_text(text.lower() if lenient else text, which)
    return _read_number(cpf.KIND if which == "cpf" else cnpj.KIND, text, strictness, why=why)


def _read_number(kind: Kind, text: str, strictness: Strictness, *, why: bool) -> tuple[str, str]:
    if not why and not kind.is_valid(text, strictness=strictness):
        return "", "form"
    bare, rule = kind.examine(text, strictness)
    return bare, "form" if rule in OF_THE_SHAPE else rule


def _read_phone(text: str, strictness: Strictness, *, why: bool) -> tuple[str, str]:
    bare, rule = _read_number(phone.KIND, text, strictness, why=why)
    if not rule and len(bare) != 11:
        rule = "subscriber"
    return "+55" + bare, rule


def _read_text(text: str, which: Which) -> tuple[str, str]:
    pattern = _compiled()[which == "email"]
    return text, "" if pattern.fullmatch(text) else "form"


def _compiled() -> tuple[re.Pattern[str], re.Pattern[str]]:
    global _patterns
    if _patterns is None:
        import re

        _patterns = re.compile(_EVP), re.compile(_EMAIL)
    return _patterns


_patterns: tuple[re.Pattern[str], re.Pattern[str]] | None = None


def _invent(random: Random) -> str:
    which = random.choice(("cpf", "cnpj", "phone", "email", "evp"))
    if which == "evp":
        digits = f"{random.getrandbits(128):032x}"
        return "-".join([digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))])
    if which == "email":
        return f"pix{random.randrange(10**6)}@example.com"
    if which == "phone":
        return "+55" + phone.generate_phone_br(random=random)
    kind = cpf.KIND if which == "cpf" else cnpj.KIND
    return kind.generate(random=random)


def parse_pix_key(value: str, *, strictness: Strictness = STRICT) -> _lazy.PixKeyParts:
    """Which of the five kinds a key is; raise as ``normalize_pix_key`` does."""
    key = KIND.normalize(value, strictness=strictness)
    return _lazy.PixKeyParts(key=key, kind=_which(key, lenient=False))


class _Keys:
    """How keys are written, for ``Kind``."""

    pattern = f"(?:{'|'.join([cpf.PATTERN[1:-1], cnpj.PATTERN[1:-1], _MOBILE, _EMAIL, _EVP])})"
    canonical_pattern = (
        f"(?:{'|'.join(['[0-9]{11}', '[0-9A-Z]{12}[0-9]{2}', _CANONICAL_MOBILE, _EMAIL, _EVP])})"
    )
    lengths = ()
    longest = LONGEST

    def alphabet(self, at: int, length: int) -> str:
        return cnpj.KIND.alphabet(at, length) if length == 14 else DIGITS * (length == 11)

    def expected(self, rule: str) -> Text:
        return _EXPECTED[rule]

    def apply(self, bare: str) -> str:
        return bare

    def read(self, value: object, strictness: Strictness) -> tuple[str, str]:
        return _read(value, strictness, why=True)

    def bare(self, value: object, strictness: Strictness) -> str:
        bare, rule = _read(value, strictness, why=False)
        return "" if rule else bare

    def first_misfit(self, text: str, strictness: Strictness) -> int:
        return next((at for at, c in enumerate(text) if not c.isascii()), len(text))


KIND = Kind(
    "pix_key",
    _Keys(),
    invent=_invent,
    examples=(
        "123e4567-e12b-12d1-a456-426655440000",
        "12ABC34501DE35",
        "52998224725",
        "+5511988887777",
        "fulano@example.com",
    ),
    expected=_EXPECTED,
    parse=parse_pix_key,
)
is_valid_pix_key = KIND.is_valid
normalize_pix_key = KIND.normalize
format_pix_key = KIND.format
generate_pix_key = KIND.generate
explain_pix_key = KIND.explain
suggest_pix_key = KIND.suggest
