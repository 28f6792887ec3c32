"""Pydantic types: a field that holds the canonical form, whatever accepted form was sent.

Each is a ``str`` to type checkers. Its JSON schema has the ``pattern`` of what is accepted
(validation) or of what is stored (serialization), a ``format`` and ``examples``; its errors have
the stable ``type`` that ``BRValueError.code`` gives, such as ``cpf_checksum``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from . import cep, cnpj, cpf, cpf_cnpj, phone
from .errors import BRValueError
from .strictness import Strictness, is_lenient

try:
    from pydantic_core import PydanticCustomError, core_schema
except ModuleNotFoundError as exc:
    if exc.name not in ("pydantic", "pydantic_core"):
        raise
    raise ImportError(
        "tijolo.br_validators.pydantic needs Pydantic; "
        'install it with: pip install "tijolo-br-validators[pydantic]"',
        name="pydantic",
    ) from exc

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue


class Normalize(Protocol):
    """A ``normalize_*`` function."""

    def __call__(self, value: str, /, *, strictness: Strictness = ...) -> str:
        """Return the canonical form or raise ``BRValueError``."""
        ...


class Canonical:
    """The annotation behind the types here: ``Annotated[str, Canonical(normalize_cpf, ...)]``.

    ``pattern`` is what the validation schema publishes, ``canonical_pattern`` what the
    serialization schema does; with ``Strictness.LENIENT`` the former is left out, for no pattern
    says it. What the field itself says of its schema goes before all of this.
    """

    def __init__(
        self,
        normalize: Normalize,
        *,
        format: str,  # noqa: A002 - JSON schema's word
        pattern: str,
        canonical_pattern: str,
        examples: tuple[str, ...],
        strictness: Strictness = Strictness.STRICT,
    ) -> None:
        lenient = is_lenient(strictness)
        self._normalize = partial(normalize, strictness=strictness) if lenient else normalize
        self._format = format
        self._pattern = None if lenient else pattern
        self._canonical_pattern = canonical_pattern
        self._examples = examples

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Normalise what the underlying string schema let through."""
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def _validate(self, value: str) -> str:  # a method, not a closure: it can be pickled
        try:
            return self._normalize(value)
        except BRValueError as exc:
            error = exc
        raise PydanticCustomError(error.code, str(error))  # pyright: ignore[reportArgumentType]

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Publish pattern, format and examples."""
        published = handler(schema)
        serialized = handler.mode == "serialization"
        pattern = self._canonical_pattern if serialized else self._pattern
        if pattern is not None:
            published.setdefault("pattern", pattern)
        published.setdefault("format", self._format)
        examples = self._examples[:1] if serialized else self._examples
        published.setdefault("examples", list(examples))
        return published


CEP = Annotated[
    str,
    Canonical(
        cep.normalize_cep,
        format="cep",
        pattern=cep.PATTERN,
        canonical_pattern=cep.CANONICAL_PATTERN,
        examples=cep.EXAMPLES,
    ),
]
"""A postal code, stored as 8 digits."""

CNPJ = Annotated[
    str,
    Canonical(
        cnpj.normalize_cnpj,
        format="cnpj",
        pattern=cnpj.PATTERN,
        canonical_pattern=cnpj.CANONICAL_PATTERN,
        examples=cnpj.EXAMPLES,
    ),
]
"""A company's number, numeric or alphanumeric, stored as 14 characters in upper case."""

CNPJNumeric = Annotated[
    str,
    Canonical(
        partial(cnpj.normalize_cnpj, numeric_only=True),
        format="cnpj",
        pattern=cnpj.NUMERIC_PATTERN,
        canonical_pattern=cnpj.NUMERIC_CANONICAL_PATTERN,
        examples=cnpj.NUMERIC_EXAMPLES,
    ),
]
"""A CNPJ without letters, for a column or a partner that cannot hold them yet."""

CPF = Annotated[
    str,
    Canonical(
        cpf.normalize_cpf,
        format="cpf",
        pattern=cpf.PATTERN,
        canonical_pattern=cpf.CANONICAL_PATTERN,
        examples=cpf.EXAMPLES,
    ),
]
"""A person's number, stored as 11 digits."""

CPFOrCNPJ = Annotated[
    str,
    Canonical(
        cpf_cnpj.normalize_cpf_cnpj,
        format="cpf-cnpj",
        pattern=cpf_cnpj.PATTERN,
        canonical_pattern=cpf_cnpj.CANONICAL_PATTERN,
        examples=cpf_cnpj.EXAMPLES,
    ),
]
"""A CPF or a CNPJ, stored as 11 or as 14 characters."""

PhoneBR = Annotated[
    str,
    Canonical(
        phone.normalize_phone_br,
        format="phone-br",
        pattern=phone.PATTERN,
        canonical_pattern=phone.CANONICAL_PATTERN,
        examples=phone.EXAMPLES,
    ),
]
"""A mobile or landline number, stored as area code and subscriber number."""
