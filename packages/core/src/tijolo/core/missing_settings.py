"""What a start-up error says of a variable that nobody set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from tijolo.core.secret_check import (
    HOW_TO_MAKE_ONE,
    MIN_SECRET_BYTES,
    is_signing,
    variable_of,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def explained(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    """``error`` with "Field required" told in full; itself where nothing is missing."""
    details = error.errors(include_url=False, include_input=False)
    if not any(map(_is_missing, details)):
        return error
    lines = [_line(detail, model) for detail in details]
    return ValidationError.from_exception_data(error.title, lines, hide_input=True)


def _is_missing(detail: ErrorDetails) -> bool:
    # deeper inside it is a part of a value that is there
    return detail["type"] == "missing" and len(detail["loc"]) == 1


def _line(detail: ErrorDetails, model: type[BaseModel]) -> InitErrorDetails:
    # as a custom error, which keeps its words; without the input, which may be a secret
    said = _sentence(str(detail["loc"][0]), model) if _is_missing(detail) else detail["msg"]
    code: Any = detail["type"]  # Pydantic asks for a literal
    kind = PydanticCustomError(code, "{said}", {"said": said})
    return InitErrorDetails(type=kind, loc=detail["loc"], input=None)


def _sentence(told: str, model: type[BaseModel]) -> str:
    fields = {variable_of(model, name, field): field for name, field in model.model_fields.items()}
    prefixed = f"{model.model_config.get('env_prefix', '')}{told}"
    variable = told if told in fields else prefixed
    field = fields.get(variable)
    expected = "a value" if field is None else _expected(field)
    return f"{variable} is not set in {_places(model)}; expected {expected}"


def _expected(field: FieldInfo) -> str:
    if field.description:
        return field.description
    if is_signing(field):
        return (
            f"{MIN_SECRET_BYTES} random bytes or more, the same on every replica;"
            f" make them with: {HOW_TO_MAKE_ONE}"
        )
    kind = field.annotation
    return kind.__qualname__ if isinstance(kind, type) else str(kind)


def _places(model: type[BaseModel]) -> str:
    files = cast("Any", model.model_config).get("env_file")
    names = [files] if isinstance(files, (str, Path)) else list(files or ())
    return " or ".join(["the environment", *map(str, names)])
