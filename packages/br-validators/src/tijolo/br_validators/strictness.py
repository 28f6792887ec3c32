"""How much dressing around a number is accepted."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

_USE = "use Strictness.STRICT or Strictness.LENIENT"


class Strictness:
    """What may surround the characters of a number; the rules of the number itself never change.

    ``STRICT`` accepts the bare number, the official mask, or any part of that mask with each
    separator in its place (a phone's parentheses both or neither, and a space may stand for its
    hyphen); letters in upper case; nothing else, not even a final newline.

    ``LENIENT`` also accepts, anywhere in the text, ASCII white space, ``.``, ``-`` and ``/`` (and
    for phones ``(`` and ``)``), lower-case ASCII letters where letters are allowed, and for phones
    one of the dialling prefixes ``0055``, ``0`` and ``0`` with a carrier code.

    Neither accepts a character outside ASCII, supplies missing zeros, or reads more than
    64 characters. Exceptions are few and said where they are: a RENAVAM of nine digits is one of
    eleven when lenient, a state registration of Mato Grosso always; PIX keys and BR Codes, which
    are texts, lose white space at their ends alone, and are read up to 77 and 512 characters.
    """

    # A plain class: importing enum would take longer than importing this whole package.
    __slots__ = ("_value",)

    STRICT: ClassVar[Strictness]
    LENIENT: ClassVar[Strictness]

    _value: str

    def __new__(cls, value: str) -> Strictness:
        """Refuse a third one: it would be neither of the two that the functions know."""
        raise TypeError(f"Strictness is not called; {_USE}")

    @property
    def value(self) -> str:
        """``"strict"`` or ``"lenient"``."""
        return self._value

    def __repr__(self) -> str:
        return f"Strictness.{self.value.upper()}"

    def __reduce__(self) -> tuple[object, ...]:  # copies and pickles are the same object
        return getattr, (Strictness, self.value.upper())


def _constant(value: str) -> Strictness:
    made = object.__new__(Strictness)
    object.__setattr__(made, "_value", value)
    return made


STRICT = Strictness.STRICT = _constant("strict")
Strictness.LENIENT = _constant("lenient")


def is_lenient(strictness: Strictness) -> bool:
    """Tell the two apart; raise ``TypeError`` for anything that is not a ``Strictness``."""
    if strictness is Strictness.LENIENT:
        return True
    if strictness is STRICT:
        return False
    message = f"strictness must be a Strictness, not {type(strictness).__name__!r}"
    raise TypeError(f"{message}; {_USE}")
