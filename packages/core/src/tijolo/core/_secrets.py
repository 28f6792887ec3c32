"""Strips what people type, and never a secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema


def strip_all_but_secrets(schema: CoreSchema, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Strip whitespace off the strings of ``schema``, except inside Pydantic's secret types.

    Pydantic's own ``str_strip_whitespace`` reaches into ``SecretStr`` too: a password that starts
    or ends with a space would silently become another one. Here a string that is not found is
    left as it was sent, which is the harmless side.
    """
    _Visitor(handler).visit(schema, inside_secret=False)
    return schema


class _Visitor:
    _NOT_SCHEMAS = frozenset({"serialization", "metadata", "config", "cls", "default", "expected"})

    def __init__(self, handler: GetCoreSchemaHandler) -> None:
        self._handler = handler
        self._seen: set[tuple[int, bool]] = set()

    def visit(self, node: object, *, inside_secret: bool) -> None:
        if isinstance(node, (list, tuple)):
            for item in cast("Sequence[object]", node):
                self.visit(item, inside_secret=inside_secret)
        elif isinstance(node, dict) and (id(cast("object", node)), inside_secret) not in self._seen:
            schema = cast("dict[str, Any]", node)
            self._seen.add((id(schema), inside_secret))
            self._visit_schema(schema, inside_secret=inside_secret or _is_secret(schema))

    def _visit_schema(self, node: dict[str, Any], *, inside_secret: bool) -> None:
        kind = node.get("type")
        if kind == "str" and inside_secret:
            node["strip_whitespace"] = False
        elif kind == "str":
            node.setdefault("strip_whitespace", True)
        elif kind == "definition-ref":
            self._follow(node, inside_secret=inside_secret)
        for key, value in node.items():
            if key not in self._NOT_SCHEMAS:
                self.visit(value, inside_secret=inside_secret)

    def _follow(self, node: dict[str, Any], *, inside_secret: bool) -> None:
        try:
            target = self._handler.resolve_ref_schema(cast("CoreSchema", node))
        except LookupError:  # a model that is still being built: its own schema will do
            return
        self.visit(target, inside_secret=inside_secret)


def _is_secret(node: dict[str, Any]) -> bool:
    """Whether this is what Pydantic makes of SecretStr, SecretBytes or Secret[...]."""
    function = node.get("serialization", {}).get("function")
    return getattr(function, "__name__", "").startswith("_serialize_secret")
