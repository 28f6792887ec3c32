"""The one error that ``normalize_*``, ``format_*`` and ``parse_*`` raise."""

from __future__ import annotations

from . import _messages


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
        label = _messages.label(self.kind)[0]
        broken = _messages.broken(self.rule)[0]
        return f"Not a valid {label}: {broken}; expected {self.expected}."
