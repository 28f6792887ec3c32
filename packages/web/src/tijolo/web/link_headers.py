"""``Link`` headers that lead through the pages of a list (RFC 8288)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def build_pagination_link_header(
    base_url: str,
    *,
    page: int,
    page_size: int,
    pages: int,
    extra_params: Mapping[str, str] | None = None,
    page_param: str = "page",
    size_param: str = "page_size",
) -> str:
    """The header's value with ``first``, ``prev``, ``next`` and ``last``, as far as they exist.

    Empty when there are no pages. ``prev`` of a page past the end is the last one.

    Args:
        base_url: Absolute or relative URL of the list; parameters in it are kept.
        page: Number of the page that is answered, from 1.
        pages: How many pages there are.
        extra_params: Filters and orderings to keep.

    Raises:
        ValueError: for numbers that no page can have.
    """
    if page < 1 or page_size < 1 or pages < 0:
        raise ValueError(
            f"page and page_size start at 1 and pages at 0, got {page}, {page_size}, {pages}"
        )
    if pages == 0:
        return ""
    targets = {"first": 1, "prev": min(page - 1, pages), "next": page + 1, "last": pages}
    kept = extra_params or {}
    links = [
        f'<{_url(base_url, {**kept, page_param: number, size_param: page_size})}>; rel="{rel}"'
        for rel, number in targets.items()
        if 1 <= number <= pages
    ]
    return ", ".join(links)


def _url(base_url: str, params: Mapping[str, object]) -> str:
    parts = urlsplit(base_url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in params]
    query = urlencode([*kept, *params.items()])
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
    return "".join(c if "!" <= c <= "~" and c not in '<>"' else _percent(c) for c in url)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
