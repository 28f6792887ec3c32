"""Brazilian documents: CPF, CNPJ (alphanumeric too), CEP and phone numbers.

For each kind the same verbs: ``is_valid_*`` never raises, ``normalize_*`` returns the one form to
store or raises ``BRValueError``, ``format_*`` writes the mask, ``generate_*`` invents test data.
Importing this package imports neither ``re`` nor Pydantic: patterns and Pydantic types are
imported when first asked for.
"""

from __future__ import annotations

from ._version import __version__
from .cep import format_cep, generate_cep, is_valid_cep, normalize_cep
from .characters import only_alnum, only_digits
from .cnpj import format_cnpj, generate_cnpj, is_valid_cnpj, normalize_cnpj
from .cpf import format_cpf, generate_cpf, is_valid_cpf, normalize_cpf
from .cpf_cnpj import format_cpf_cnpj, generate_cpf_cnpj, is_valid_cpf_cnpj, normalize_cpf_cnpj
from .errors import BRValueError
from .phone import (
    format_phone_br,
    generate_phone_br,
    is_valid_phone_br,
    normalize_phone_br,
    to_e164,
)
from .strictness import Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .patterns import (
        CEP_PATTERN,
        CNPJ_PATTERN,
        CPF_CNPJ_PATTERN,
        CPF_PATTERN,
        PHONE_BR_PATTERN,
    )
    from .pydantic import CEP as CEP
    from .pydantic import CNPJ as CNPJ
    from .pydantic import CPF as CPF
    from .pydantic import CNPJNumeric as CNPJNumeric
    from .pydantic import CPFOrCNPJ as CPFOrCNPJ
    from .pydantic import PhoneBR as PhoneBR

__all__ = [
    "CEP_PATTERN",
    "CNPJ_PATTERN",
    "CPF_CNPJ_PATTERN",
    "CPF_PATTERN",
    "PHONE_BR_PATTERN",
    "BRValueError",
    "Strictness",
    "__version__",
    "format_cep",
    "format_cnpj",
    "format_cpf",
    "format_cpf_cnpj",
    "format_phone_br",
    "generate_cep",
    "generate_cnpj",
    "generate_cpf",
    "generate_cpf_cnpj",
    "generate_phone_br",
    "is_valid_cep",
    "is_valid_cnpj",
    "is_valid_cpf",
    "is_valid_cpf_cnpj",
    "is_valid_phone_br",
    "normalize_cep",
    "normalize_cnpj",
    "normalize_cpf",
    "normalize_cpf_cnpj",
    "normalize_phone_br",
    "only_alnum",
    "only_digits",
    "to_e164",
]


_TYPES = ("CEP", "CNPJ", "CPF", "CNPJNumeric", "CPFOrCNPJ", "PhoneBR")
"""Not in ``__all__``: a star import must work without Pydantic."""


def __getattr__(name: str) -> object:
    """Import patterns and Pydantic types when first asked for (PEP 562)."""
    if name in _TYPES:
        value = _pydantic_type(name)
    elif name in __all__:
        from . import patterns

        value = getattr(patterns, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _pydantic_type(name: str) -> object:
    try:
        from . import pydantic
    except ImportError as exc:
        import sys

        # `from … import CPF` drops the message of an AttributeError and makes up its own, so the
        # import system gets the ImportError; hasattr() and all others get an AttributeError
        asking = sys._getframe(2).f_code.co_name  # pyright: ignore[reportPrivateUsage]
        if exc.name != "pydantic" or asking == "_handle_fromlist":
            raise
        raise AttributeError(str(exc)) from exc
    return getattr(pydantic, name)


def __dir__() -> list[str]:
    from importlib.util import find_spec

    try:
        types = _TYPES if find_spec("pydantic_core") else ()
    except ImportError:  # a finder of somebody's forbids it
        types = ()
    return sorted({*globals(), *__all__, *types})
