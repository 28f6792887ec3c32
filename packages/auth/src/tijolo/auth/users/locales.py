"""Which of a service's languages a reader wants (RFC 9110, section 12.5.4; RFC 4647, 3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

_MOST_RANGES = 32
_MOST_CHARACTERS = 1024


def wanted_locale(accept_language: str, available: Sequence[str]) -> str | None:
    """The one of ``available`` that a header asks for first; None where it asks for none.

    ``pt-BR`` is served by ``pt`` where there is no ``pt-BR``, and ``pt`` by ``pt-BR``.
    """
    known = {tag.lower(): tag for tag in reversed(available)}
    for wanted in _ranges(accept_language):
        for tag in _fallbacks(wanted):
            if tag in known:
                return known[tag]
        nearest = next((tag for tag in known if tag.startswith(f"{wanted}-")), None)
        if nearest is not None:
            return known[nearest]
    return None


def localised_names(name: str, locale: str) -> list[str]:
    """The names under which to look for the file ``name`` in a language, the nearest first."""
    stem, dot, suffix = name.rpartition(".")
    parts = locale.split("-")
    tags = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return [*(f"{stem}.{tag}{dot}{suffix}" for tag in tags), name]


def _ranges(accept_language: str) -> Iterable[str]:
    weighted = [found for found in _weights(accept_language[:_MOST_CHARACTERS]) if found[1] > 0]
    # sorted() keeps the order of what weighs the same
    return [tag for tag, _ in sorted(weighted, key=lambda found: -found[1])]


def _weights(accept_language: str) -> Iterator[tuple[str, float]]:
    for member in accept_language.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        tag, *parameters = (part.strip().lower() for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if tag and tag != "*":
            yield tag, weight if 0 <= weight <= 1 else 0.0


def _fallbacks(tag: str) -> Iterator[str]:
    parts = tag.split("-")
    for count in range(len(parts), 0, -1):
        yield "-".join(parts[:count])
