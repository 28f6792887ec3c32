"""What ``parse_*`` and ``explain_*`` return: frozen dataclasses of the parts of a number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from . import _messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a value is refused, for a program and for people; it never repeats the value."""

    kind: str
    rule: str
    position: int | None
    """Index in the text of the first character at fault; its length where one is missing."""
    expected: str
    """What was expected, in English."""
    expected_pt: str
    """What was expected, in Portuguese."""

    @property
    def code(self) -> str:
        """The stable machine code, that of ``BRValueError``: kind and rule."""
        return f"{self.kind}_{self.rule}"

    @property
    def message(self) -> str:
        """One sentence in English, that of ``BRValueError``."""
        label, broken = _messages.label(self.kind)[0], _messages.broken(self.rule)[0]
        return f"Not a valid {label}: {broken}; expected {self.expected}."

    @property
    def message_pt(self) -> str:
        """One sentence in Portuguese."""
        label, broken = _messages.label(self.kind)[1], _messages.broken(self.rule)[1]
        return f"Não vale como {label}: {broken}; esperado: {self.expected_pt}."


@dataclass(frozen=True, slots=True, kw_only=True)
class CPFParts:
    """A CPF; the ninth digit says in which fiscal region it was first issued."""

    number: str
    fiscal_region: int
    """1 to 9, and 0 for the tenth region."""
    states: tuple[str, ...]
    """The states of that region; where the person lives now is another matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CNPJParts:
    """A CNPJ. That order ``0001`` is the head office is custom: ask the registry."""

    number: str
    root: str
    order: str
    check_digits: str
    is_alphanumeric: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CEPParts:
    """A postal code and the state whose range it is in."""

    number: str
    state: str | None
    """None where no state has the range, as with ``00000-000``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneParts:
    """A number with an area code."""

    number: str
    kind: Literal["mobile", "landline"]
    area_code: str
    subscriber: str
    states: tuple[str, ...]
    """The states that the area code serves, that of most of its lines first."""
    e164: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePhoneParts:
    """A number without an area code; it has no E.164 form."""

    number: str
    kind: Literal["non_geographic", "single_number", "public_utility"]
    prefix: str
    """``0800`` and its like, ``4004`` and its like, or the three digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TituloEleitorParts:
    """A voter registration."""

    number: str
    sequence: str
    state: str
    """The state that issued it; ``ZZ`` for voters abroad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateParts:
    """A licence plate in both of its lives."""

    number: str
    format: Literal["old", "mercosul"]
    old: str | None
    """The same plate in the old format; None for a Mercosul plate that never had one."""
    mercosul: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CNSParts:
    """A health card."""

    number: str
    kind: Literal["definitive", "provisional"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CNJParts:
    """A court case number."""

    number: str
    sequence: str
    check_digits: str
    year: int
    segment: int
    """The digit J: 1 STF, 2 CNJ, 3 STJ, 4 federal, 5 labour, 6 electoral, 7 and 9 military,
    8 state courts."""
    court: str
    """The two digits TR."""
    court_name: str
    """The court's acronym, such as ``TJSP`` or ``TRT15``."""
    origin: str
    """The four digits OOOO, the unit of origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoletoParts:
    """A bank's collection slip."""

    line: str
    """The 47 digits that people type."""
    barcode: str
    """The 44 digits of the bar code."""
    bank: str
    """COMPE code of the bank; ``988`` where it has an ISPB alone."""
    ispb: str | None
    """The bank's ISPB, in a slip of ``988``; its amount is then not in the numbers."""
    currency: str
    """``9`` for the real."""
    factor: str
    """Fator de vencimento, four digits; ``0000`` where there is none."""
    due_date: date | None
    """The due date that is payable today; None without a factor, and where both are out of it."""
    due_dates: tuple[date, ...]
    """Every date that the factor can mean: it came round in February 2025."""
    amount: Decimal
    """In BRL; 0 where the slip leaves it open."""
    free_field: str
    """25 digits of the bank's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrecadacaoParts:
    """A slip of a tax, a utility bill and the like."""

    line: str
    """The 48 digits that people type."""
    barcode: str
    """The 44 digits of the bar code."""
    segment: int
    """1 municipality, 2 sanitation, 3 electricity and gas, 4 telecommunications, 5 government,
    6 others by their CNPJ, 7 traffic fines, 9 the bank's own."""
    value_kind: int
    """6 and 8: an amount in BRL; 7 and 9: a quantity of another unit."""
    amount: Decimal | None
    """In BRL; None where the value is a quantity."""
    quantity: int | None
    """The eleven digits as they are; None where the value is an amount."""
    company: str
    """FEBRABAN's 4 digits of the company, or for segment 6 the 8 digits of its CNPJ's root."""
    free_field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DFeKeyParts:
    """The access key of an electronic fiscal document."""

    key: str
    state: str
    year: int
    month: int
    issuer: str
    """The issuer's CNPJ, or its CPF without the padding."""
    issuer_kind: Literal["cnpj", "cpf"]
    model: str
    """``55`` NF-e, ``65`` NFC-e, ``57`` CT-e and so on."""
    model_name: str
    series: int
    number: int
    emission_type: int
    site: str
    """The authorisation site of models 62 and 66, else empty."""
    code: str
    """The random code, 8 digits, or 7 after a site."""
    check_digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PixKeyParts:
    """A PIX key in the form that the DICT stores."""

    key: str
    kind: Literal["cpf", "cnpj", "phone", "email", "evp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BRCodeParts:
    """The payload of a PIX QR code."""

    payload: str
    key: str | None
    """The PIX key of a static code."""
    url: str | None
    """Where a dynamic code's charge is found, without ``https://``."""
    description: str | None
    merchant_name: str
    merchant_city: str
    merchant_category: str
    amount: Decimal | None
    """In BRL; None where the payer types it."""
    txid: str | None
    """None for ``***``, the absence of one."""
    single_use: bool
    """Point of initiation method 12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MunicipioParts:
    """A municipality's code."""

    code: str
    state: str
    prefix: str
    """The first six digits, unique as well; some systems store only these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IEParts:
    """A state registration and the states by whose rules it is valid."""

    number: str
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertidaoParts:
    """The number of a birth, marriage or death certificate."""

    number: str
    registry: str
    """CNS, the six digits of the registry office."""
    collection: str
    """Acervo: ``01`` its own, others what it took over."""
    year: int
    book_type: int
    """1 births, 2 marriages, 3 religious marriages, 4 deaths, 5 stillbirths, 6 banns, 7 others;
    8 and 9 (emancipations, interdictions) come in old certificates."""
    book: str
    page: str
    entry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CAEPFParts:
    """A natural person's economic activity."""

    number: str
    cpf: str
    """The person's CPF, its check digits worked out."""
    order: str
