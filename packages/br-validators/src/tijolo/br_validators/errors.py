"""The one error that ``normalize_*`` and ``format_*`` raise."""

from __future__ import annotations

_BROKEN = {
    "type": "it is not a string",
    "length": "it has the wrong length",
    "characters": "it has characters that do not belong there",
    "separators": "its separators are not in their places",
    "letters": "it has letters",
    "reserved": "it is a number that is never issued",
    "checksum": "its check digits do not match",
    "country": "its country code is not 55",
    "area_code": "its area code (DDD) does not exist",
    "subscriber": "it is neither a mobile nor a landline number",
}

_LABELS = {"cpf_cnpj": "CPF or CNPJ", "phone_br": "Brazilian phone number"}


class BRValueError(ValueError):
    """A value is not what its kind (CPF, CNPJ, CEP, ...) demands.

    Neither the message nor an attribute repeats the value: it is personal data (LGPD, Lei
    13.709/2018), and messages end in logs. ``kind`` is the name used by the functions
    (``"cpf"``), ``rule`` the broken rule (``"checksum"``), ``code`` both (``"cpf_checksum"``);
    these are stable. ``expected`` is a phrase for people.
    """

    def __init__(self, kind: str, rule: str, expected: str) -> None:
        super().__init__(kind, rule, expected)
        self.kind = kind
        self.rule = rule
        self.expected = expected

    @property
    def code(self) -> str:
        """The stable machine code: kind and rule."""
        return f"{self.kind}_{self.rule}"

    def __str__(self) -> str:
        label = _LABELS.get(self.kind, self.kind.upper())
        broken = _BROKEN.get(self.rule, f"it breaks the rule {self.rule!r}")
        return f"Not a valid {label}: {broken}; expected {self.expected}."
