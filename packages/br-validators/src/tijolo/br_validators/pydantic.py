"""Pydantic types: a field that holds the canonical form, whatever accepted form was sent.

Each is a ``str`` to type checkers. Its JSON schema has the ``pattern`` of what is accepted
(validation) or of what is stored (serialization), a ``format`` and ``examples``; its errors have
the stable ``type`` that ``BRValueError.code`` gives, such as ``cpf_checksum``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from .errors import BRValueError
from .kind import Kind
from .registry import KINDS
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


class Canonical:
    """The annotation behind the types here: ``Annotated[str, Canonical("cpf")]``.

    ``kind`` is a name in ``KINDS`` or a ``Kind``, such as ``ie_kind("SP")``; a name is looked up
    when a schema is first built. The validation schema publishes the pattern of what is accepted
    (with ``Strictness.LENIENT`` none, for no pattern says it), the serialization schema that of
    the canonical form. What the field itself says of its schema goes before all of this.
    """

    def __init__(self, kind: str | Kind, *, strictness: Strictness = Strictness.STRICT) -> None:
        if isinstance(kind, str) and kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; expected one of {', '.join(KINDS)}")
        self._name = kind
        self._lenient = is_lenient(strictness)
        self._strictness = strictness
        self._normalize: Any = None

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self._name, self._strictness)

    @property
    def kind(self) -> Kind:
        """The kind that the field holds."""
        return KINDS[self._name] if isinstance(self._name, str) else self._name

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Normalise what the underlying string schema let through."""
        self._normalize = self.kind.normalize
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def _validate(self, value: str) -> str:  # a method, not a closure: it can be pickled
        try:
            if self._lenient:
                return str(self._normalize(value, strictness=self._strictness))
            return self._normalize(value)  # type: ignore[no-any-return]
        except BRValueError as exc:
            error = exc
        raise PydanticCustomError(error.code, str(error))  # pyright: ignore[reportArgumentType]

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Publish pattern, format and examples."""
        kind = self.kind
        published = handler(schema)
        serialized = handler.mode == "serialization"
        if serialized or not self._lenient:
            pattern = kind.canonical_pattern if serialized else kind.pattern
            published.setdefault("pattern", pattern)
            if kind.longest is not None:  # the pattern alone would let more through
                published.setdefault("maxLength", kind.longest)
        published.setdefault("format", kind.name.replace("_", "-"))
        if kind.examples:
            examples = kind.examples[:1] if serialized else kind.examples
            published.setdefault("examples", list(examples))
        return published


def _rebuilt(kind: str | Kind, strictness: Strictness) -> Canonical:
    made = Canonical(kind, strictness=strictness)
    made._normalize = made.kind.normalize  # pyright: ignore[reportPrivateUsage]
    return made


CAEPF = Annotated[str, Canonical("caepf")]
"""A person's economic activity, stored as 14 digits."""
CEI = Annotated[str, Canonical("cei")]
"""A number of the old register of the INSS, stored as 12 digits."""
CEP = Annotated[str, Canonical("cep")]
"""A postal code, stored as 8 digits."""
CNH = Annotated[str, Canonical("cnh")]
"""A driving licence, stored as 11 digits."""
CNO = Annotated[str, Canonical("cno")]
"""A building site, stored as 12 digits."""
CNPJ = Annotated[str, Canonical("cnpj")]
"""A company's number, numeric or alphanumeric, stored as 14 characters in upper case."""
CNS = Annotated[str, Canonical("cns")]
"""A health card, stored as 15 digits."""
COMPE = Annotated[str, Canonical("compe")]
"""A bank's three digits."""
CPF = Annotated[str, Canonical("cpf")]
"""A person's number, stored as 11 digits."""
ISPB = Annotated[str, Canonical("ispb")]
"""A bank's eight characters."""
PIS = Annotated[str, Canonical("pis")]
"""A PIS, PASEP, NIS or NIT, stored as 11 digits."""
RENAVAM = Annotated[str, Canonical("renavam")]
"""A vehicle, stored as 11 digits."""
Arrecadacao = Annotated[str, Canonical("arrecadacao")]
"""A collection slip, stored as the 48 digits of its line."""
BRCode = Annotated[str, Canonical("br_code")]
"""The payload of a PIX QR code."""
Boleto = Annotated[str, Canonical("boleto")]
"""A boleto, stored as the 47 digits of its line."""
CNPJNumeric = Annotated[str, Canonical("cnpj_numeric")]
"""A CNPJ without letters, for a column or a partner that cannot hold them yet."""
CPFOrCNPJ = Annotated[str, Canonical("cpf_cnpj")]
"""A CPF or a CNPJ, stored as 11 or as 14 characters."""
Certidao = Annotated[str, Canonical("certidao")]
"""The number of a civil registry certificate, stored as 32 digits."""
DFeKey = Annotated[str, Canonical("dfe_key")]
"""The access key of a fiscal document, stored as 44 characters."""
InscricaoEstadual = Annotated[str, Canonical("ie")]
"""A state registration of any state; of one, ``Canonical(ie_kind("SP"))``."""
MunicipioIBGE = Annotated[str, Canonical("ibge_municipio")]
"""A municipality's code, stored as 7 digits."""
PhoneBR = Annotated[str, Canonical("phone_br")]
"""A mobile or landline number, stored as area code and subscriber number."""
PixKey = Annotated[str, Canonical("pix_key")]
"""A PIX key, stored as the DICT stores it."""
Plate = Annotated[str, Canonical("plate")]
"""A licence plate, old or Mercosul, stored as 7 characters."""
ProcessoCNJ = Annotated[str, Canonical("cnj")]
"""A court case, stored as 20 digits."""
ServicePhoneBR = Annotated[str, Canonical("service_phone")]
"""A number without an area code, such as 0800 123 4567."""
TituloEleitor = Annotated[str, Canonical("titulo_eleitor")]
"""A voter registration, stored as 12 digits."""
