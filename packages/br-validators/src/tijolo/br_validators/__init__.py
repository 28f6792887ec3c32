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
    from .pydantic import CEP, CNPJ, CPF, CNPJNumeric, CPFOrCNPJ, PhoneBR

__all__ = [
    "CEP",
    "CEP_PATTERN",
    "CNPJ",
    "CNPJ_PATTERN",
    "CPF",
    "CPF_CNPJ_PATTERN",
    "CPF_PATTERN",
    "PHONE_BR_PATTERN",
    "BRValueError",
    "CNPJNumeric",
    "CPFOrCNPJ",
    "PhoneBR",
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


def __getattr__(name: str) -> object:
    """Import patterns and Pydantic types when first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.endswith("_PATTERN"):
        from . import patterns

        value: object = getattr(patterns, name)
    else:
        from . import pydantic

        value = getattr(pydantic, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
