"""Keeps secrets exactly as they were sent, under ``str_strip_whitespace`` too."""

from __future__ import annotations

from typing import Any

from pydantic import SecretBytes, SecretStr
from pydantic_core import CoreSchema


def keep_secrets_verbatim(schema: CoreSchema) -> CoreSchema:
    """Turn whitespace stripping off inside every ``SecretStr`` of ``schema``, in place.

    Stripping is a model-wide setting in Pydantic, and a secret field inherits it: a password
    that starts or ends with a space would silently become another one.
    """
    _visit(schema, inside_secret=False)
    return schema


def _visit(node: Any, *, inside_secret: bool) -> None:
    if isinstance(node, dict):
        kind = node.get("type")
        if kind == "str" and inside_secret:
            node["strip_whitespace"] = False
        elif kind == "model" and inside_secret:
            return
        inside_secret = inside_secret or _is_secret(node)
        for key, value in node.items():
            if key not in {"serialization", "metadata", "config", "cls", "ref"}:
                _visit(value, inside_secret=inside_secret)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _visit(value, inside_secret=inside_secret)


def _is_secret(node: dict[str, Any]) -> bool:
    """Whether this is the node Pydantic generates for SecretStr: JSON string or instance of it."""
    if node.get("type") != "json-or-python":
        return False
    choices = node.get("python_schema", {}).get("choices", ())
    return any(
        isinstance(choice, dict)
        and choice.get("type") == "is-instance"
        and isinstance(choice.get("cls"), type)
        and issubclass(choice["cls"], (SecretStr, SecretBytes))
        for choice in choices
    )
