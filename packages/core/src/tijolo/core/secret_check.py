"""Which secrets must not be used outside development, and why."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, cast, get_args

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

MIN_SECRET_BYTES = 32
"""Least length of a signing secret: the output of the hash it keys (RFC 7518, section 3.2)."""
HOW_TO_MAKE_ONE = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
"""A command for who has to make one now."""

_WHOLE_WORDS = """
    secret secrets secretkey mysecret supersecret topsecret password passwd passw0rd
    pass senha segredo default example exemplo placeholder test testing todo none
    null nil undefined admin minioadmin root guest postgres mysql redis changeme
    letmein qwerty 123456 12345678 123456789 1234567890 password1 password123
    admin123
"""
_WHOLE = frozenset(_WHOLE_WORDS.split())
_WITHIN = re.compile(
    r"(?<![a-z])(change|replace)[\W_]*(me|this|it|with)(?![a-z])"
    r"|(?<![a-z])your[\w-]*(secret|key|token|password)"
    r"|^(django-)?insecure(?![a-z])"
    r"|^\$\{.*\}$|^<.*>$|^\{\{.*\}\}$|^x{3,}$"
)


class UnfitSecretError(RuntimeError):
    """A secret is a placeholder, or too weak to sign with; the service must not start."""


class SigningKey:
    """Marks a secret field that signs or encrypts; see :data:`SigningSecret`."""


SigningSecret = Annotated[SecretStr, SigningKey()]
"""A secret that signs. Outside development it must be 32 bytes or more and not a placeholder.

Use it as a field type: ``TOKEN_SECRET: SigningSecret``. An empty value means "not configured"
and is left to the code that needs it.
"""


def unfit_secrets(model: BaseModel, path: str = "") -> Iterator[str]:
    """One sentence for each secret in ``model`` that must not be used, naming its variable."""
    separator = model.model_config.get("env_nested_delimiter") or "."
    for name, field in type(model).model_fields.items():
        label = f"{path}{variable_of(type(model), name, field, nested=bool(path))}"
        signs = is_signing(field)
        published = {_text(value) for value in _published(field)}
        for where, value in _inside(label, getattr(model, name), str(separator)):
            reason = _unfit(_text(value), signs=signs, published=published)
            if reason:
                yield f"{where} {reason}"
    for name, value in (model.model_extra or {}).items():
        for where, secret in _inside(f"{path}{name}", value, str(separator)):
            reason = _unfit(_text(secret), signs=False, published=set())
            if reason:
                yield f"{where} {reason}"


def _inside(label: str, value: object, separator: str) -> Iterator[tuple[str, object]]:
    """The secrets in a field's value, each with where it is; models report for themselves."""
    if hasattr(value, "get_secret_value"):
        yield label, value
    elif isinstance(value, BaseModel):
        for problem in unfit_secrets(value, f"{label}{separator}"):
            where, _, reason = problem.partition(" ")
            yield where, _Known(reason)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            yield from _inside(f"{label}{separator}{field.name}", inner, separator)
    elif isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        yield from _each(label, [*pairs.keys(), *pairs.values()], len(pairs), separator)
    elif isinstance(value, Collection) and not isinstance(value, (str, bytes, bytearray)):
        items = cast("Collection[object]", value)
        yield from _each(label, items, len(items), separator)


def _each(
    label: str, items: Collection[object], count: int, separator: str
) -> Iterator[tuple[str, object]]:
    # by position among ``count``: a mapping's key may be a secret itself
    for position, item in enumerate(items):
        yield from _inside(f"{label}[{position % count}]", item, separator)


@dataclasses.dataclass(frozen=True)
class _Known:
    """A verdict that a nested model has given already."""

    reason: str


def _unfit(secret: str | _Known, *, signs: bool, published: set[str | _Known]) -> str | None:
    if isinstance(secret, _Known):
        return secret.reason
    bare = _bare(secret)
    if not secret:
        return None
    if not bare or _is_placeholder(bare) or secret in published or bare in map(_bare, published):
        return "is a placeholder"
    if len(bare) > 3 and len(set(bare)) == 1:
        return "repeats one character"
    if not signs:
        return None
    if len(secret.strip().encode("utf-8", "surrogatepass")) < MIN_SECRET_BYTES:
        return f"is shorter than {MIN_SECRET_BYTES} bytes"
    if len(set(bare)) < 8 or bare in (bare + bare)[1:-1]:
        return "repeats a short pattern"
    return None


def _bare(secret: str | _Known) -> str:
    """What is left of a secret without quotes, padding, case and look-alike letters."""
    if isinstance(secret, _Known):
        return ""
    return unicodedata.normalize("NFKC", secret).strip(" \t\r\n\v\f\"'`").casefold()


def _is_placeholder(bare: str) -> bool:
    return re.sub(r"[\W_]", "", bare) in _WHOLE or _WITHIN.search(bare) is not None


def _text(value: object) -> str | _Known:
    if isinstance(value, _Known):
        return value
    reveal = getattr(value, "get_secret_value", None)
    secret: object = value if reveal is None else reveal()
    return secret.decode("utf-8", "replace") if isinstance(secret, bytes) else str(secret)


def _published(field: FieldInfo) -> Iterator[object]:
    """The field's default and examples: anybody who reads the code knows them."""
    extra = field.json_schema_extra
    readable = cast("Mapping[str, object]", {} if callable(extra) else extra or {})
    candidates: list[Any] = [field.default, readable.get("example"), *(field.examples or ())]
    for candidate in candidates:
        several = isinstance(candidate, (list, tuple))
        for item in cast("Sequence[object]", candidate) if several else [candidate]:
            if isinstance(item, str) or hasattr(item, "get_secret_value"):
                yield item


def variable_of(
    model: type[BaseModel], name: str, field: FieldInfo, *, nested: bool = False
) -> str:
    """The environment variable that sets the field."""
    alias = field.validation_alias or field.alias
    if isinstance(alias, AliasChoices):
        alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
    if isinstance(alias, str):
        return alias
    return name if nested else f"{model.model_config.get('env_prefix', '')}{name}"


def is_signing(field: FieldInfo) -> bool:
    """Whether the field holds what signs or encrypts."""
    return _signs(field.annotation) or any(map(_is_mark, field.metadata))


def _signs(annotation: object) -> bool:
    """Whether ``SigningKey`` marks the type or one inside it, as in ``list[SigningSecret]``."""
    annotation = getattr(annotation, "__value__", annotation)  # a type alias
    if any(map(_is_mark, getattr(annotation, "__metadata__", ()))):
        return True
    return any(_signs(argument) for argument in get_args(annotation))


def _is_mark(item: object) -> bool:
    return item is SigningKey or isinstance(item, SigningKey)
