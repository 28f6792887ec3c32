"""What boleto and arrecadação have in common: a typed line and a bar code that say the same."""

from __future__ import annotations

from ._mask import Mask, Masks
from .strictness import Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class LineOrBarcode(Masks):
    """A typed line, which is the canonical form, or the 44 digits of its bar code."""

    __slots__ = ("_line", "_to_line")

    def __init__(self, line: Mask, to_line: Callable[[str], str]) -> None:
        super().__init__(line, Mask("0" * 44))
        self._line = line
        self._to_line = to_line

    @property
    def canonical_pattern(self) -> str:
        return self._line.canonical_pattern

    def bare(self, value: object, strictness: Strictness) -> str:
        bare = super().bare(value, strictness)
        return self._to_line(bare) if len(bare) == 44 else bare
