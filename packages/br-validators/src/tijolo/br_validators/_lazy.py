"""What is too slow to import unasked: ``random``, ``date``, ``Decimal``, and ``parts``.

Annotations write ``_lazy.Random`` and ``_lazy.CNPJParts``; the name is brought when it is first
needed, also by whoever resolves the annotation (PEP 562).
"""

from __future__ import annotations

from sys import modules

from .characters import DIGITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date as date
    from decimal import Decimal as Decimal
    from random import Random as Random

    from ._messages import Text
    from .parts import ArrecadacaoParts as ArrecadacaoParts
    from .parts import BoletoParts as BoletoParts
    from .parts import BRCodeParts as BRCodeParts
    from .parts import CAEPFParts as CAEPFParts
    from .parts import CEPParts as CEPParts
    from .parts import CertidaoParts as CertidaoParts
    from .parts import CNJParts as CNJParts
    from .parts import CNPJParts as CNPJParts
    from .parts import CNSParts as CNSParts
    from .parts import CPFParts as CPFParts
    from .parts import DFeKeyParts as DFeKeyParts
    from .parts import Explanation as Explanation
    from .parts import IEParts as IEParts
    from .parts import MunicipioParts as MunicipioParts
    from .parts import PhoneParts as PhoneParts
    from .parts import PixKeyParts as PixKeyParts
    from .parts import PlateParts as PlateParts
    from .parts import ServicePhoneParts as ServicePhoneParts
    from .parts import TituloEleitorParts as TituloEleitorParts


_HOMES = {"Decimal": "decimal", "Random": "random", "date": "datetime"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        home = _HOMES[name]
        __import__(home)
        found: object = getattr(modules[home], name)
        globals()[name] = found
        return found
    if name[:2] == "__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import parts

    try:
        value: object = getattr(parts, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    globals()[name] = value
    return value


def source(random: Random | None) -> Random:
    """``random`` itself, or a freshly seeded one."""
    if random is not None:
        return random
    from random import Random

    return Random()  # noqa: S311 - test data, not secrets


def digits(random: Random, count: int) -> str:
    """``count`` ASCII digits."""
    return "".join(random.choices(DIGITS, k=count))


def explanation(kind: str, rule: str, position: int | None, expected: Text) -> Explanation:
    """An ``Explanation`` with its two messages."""
    from .parts import Explanation

    return Explanation(
        kind=kind, rule=rule, position=position, expected=expected[0], expected_pt=expected[1]
    )
