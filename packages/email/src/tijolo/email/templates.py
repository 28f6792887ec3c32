"""Templates of e-mails: escaped unless they are text, strict, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from jinja2 import BaseLoader, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import SandboxedEnvironment

from tijolo.email.errors import EmailTemplateError

_ENGINE_SUFFIXES = {"j2", "jinja", "jinja2"}
_TEXT_SUFFIXES = {"txt", "text"}
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")


class EmailTemplates:
    """Renders templates of a directory. Blocking: call it in a thread.

    ``welcome.txt`` and ``welcome.txt.j2`` are text and not escaped; everything else is HTML and
    escaped, whatever its suffix. A variable that was not given is an error, and a template
    cannot reach into Python (Jinja's sandbox). No name leads out of the directory.

    With a locale, ``welcome.html.j2`` is looked for as ``welcome.pt-BR.html.j2``, then
    ``welcome.pt.html.j2``, then as itself.

    Args:
        source: The directory, or a loader of Jinja.
    """

    def __init__(self, source: str | PathLike[str] | BaseLoader) -> None:
        loader = source if isinstance(source, BaseLoader) else FileSystemLoader(source)
        self.environment = SandboxedEnvironment(
            loader=loader, autoescape=is_escaped, undefined=StrictUndefined, trim_blocks=True
        )

    def render(self, name: str, context: Mapping[str, Any], *, locale: str | None = None) -> str:
        """The text of template ``name``.

        Raises:
            EmailTemplateError: it is missing or does not compile, or lacks a variable.
        """
        text = self.render_or_none(name, context, locale=locale)
        if text is None:
            raise EmailTemplateError(f"there is no e-mail template {name!r}")
        return text

    def render_or_none(
        self, name: str, context: Mapping[str, Any], *, locale: str | None = None
    ) -> str | None:
        """The same; None where there is no such template.

        Raises:
            EmailTemplateError: it does not compile, or lacks a variable.
        """
        return self._first(localised(name, locale), context)

    def _first(self, candidates: Iterable[str], context: Mapping[str, Any]) -> str | None:
        for candidate in candidates:
            try:
                template = self.environment.get_template(candidate)
            except TemplateNotFound as exc:
                if exc.name == candidate:
                    continue
                raise _broken(candidate) from exc
            except (TemplateError, UnicodeDecodeError) as exc:
                raise _broken(candidate) from exc
            try:
                return template.render(context)
            except TemplateError as exc:
                raise _broken(candidate) from exc
        return None

    def render_email(
        self,
        name: str,
        context: Mapping[str, Any],
        *,
        subject: str | None = None,
        locale: str | None = None,
    ) -> tuple[str, str, str | None]:
        """Subject, text and HTML of e-mail ``name``; see ``EmailUtils.render``.

        Raises:
            EmailTemplateError: a template is missing, does not compile, or lacks a variable.
        """

        def part(suffix: str) -> str | None:
            # the nearest language first, whichever of the two suffixes it has
            names = localised(f"{name}.{suffix}", locale)
            return self._first([f"{each}{end}" for each in names for end in (".j2", "")], context)

        text, html = part("txt"), part("html")
        if text is None and html is None:
            raise EmailTemplateError(f"there is no e-mail template {name!r}.html or .txt")
        line = part("subject.txt") if subject is None else subject
        if line is None:
            raise EmailTemplateError(f"give a subject, or write {name!r}.subject.txt")
        return " ".join(line.split()) if subject is None else line, text or "", html


def _broken(name: str) -> EmailTemplateError:
    # the reason is in the chained exception, for the log: this text may reach a caller
    return EmailTemplateError(f"the e-mail template {name!r} could not be rendered")


def is_escaped(name: str | None) -> bool:
    """Whether what is put into template ``name`` is escaped for HTML: yes, unless it is text."""
    suffixes = (name or "").lower().split(".")[1:]
    while suffixes and suffixes[-1] in _ENGINE_SUFFIXES:
        suffixes.pop()
    return not (suffixes and suffixes[-1] in _TEXT_SUFFIXES)


def localised(name: str, locale: str | None) -> list[str]:
    """The names under which to look for ``name``, the most specific first.

    A locale that is none (it may be what a browser sent) is as good as no locale.
    """
    if locale is None or not _LOCALE.fullmatch(locale):
        return [name]
    directory, slash, file = name.rpartition("/")
    stem, dot, suffixes = file.partition(".")
    parts = re.split("[-_]", locale)
    found = list[str]()
    for count in range(len(parts), 0, -1):
        for joint in ("-", "_") if count > 1 else ("-",):
            found.append(f"{directory}{slash}{stem}.{joint.join(parts[:count])}{dot}{suffixes}")
    return [*found, name]
