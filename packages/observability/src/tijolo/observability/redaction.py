"""Keeping secrets out of logs, health details and URLs: by the name of a field and by its shape."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from urllib.parse import unquote_plus

REDACTED = "***"
"""Stands for what is hidden; no pattern makes something else of it."""

SENSITIVE_KEYS: tuple[str, ...] = (
    "access_key",
    "api_key",
    "authorization",
    "cookie",
    "credential",
    "csrf",
    "cvv",
    "encryption_key",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "pwd",
    "secret",
    "segredo",
    "senha",
    "session_id",
    "signing_key",
    "token",
)
"""A field is hidden when its name, without case and punctuation, contains one of these."""

SENSITIVE_ENDINGS: frozenset[str] = frozenset(("auth", "otp", "pass", "pin"))
"""Words that are too short for that: a field is hidden when the last word of its name is one."""

SAFE_KEYS: tuple[str, ...] = (
    "completion_tokens",
    "input_tokens",
    "max_tokens",
    "output_tokens",
    "prompt_tokens",
    "token_count",
    "token_type",
    "total_tokens",
)
"""Names that contain a sensitive word and hold no secret."""

QUERY_KEYS: frozenset[str] = frozenset(
    ("assertion", "auth", "code", "jwt", "key", "otp", "sig", "signature", "ticket")
)
"""Words of a parameter's name that make it secret (RFC 6749 section 4.1.2, presigned URLs)."""

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
"""A pattern and what replaces each match, as `re.sub` takes them. Keep its repetitions bounded."""

# Every pattern is linear in the text: what may repeat without bound either ends the pattern or
# cannot start inside of its own match.
_PUNCTUATION = re.compile(r"[\W_]+")
_LONGEST_ENDING = 32
_LAST_WORD = re.compile(r"(?:[A-Z]+|[A-Z]?[a-z]+)(?=[\W_]{0,8}\Z)")
_SEPARATOR = r"""(?:\\{0,7}["']?\s{0,8}(?:=>|[:=])\s{0,8}|\\{0,7}["'],\s{0,4})"""
_QUOTED = r"""b?"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|b?'(?:[^'\\]|\\.)*+(?:'|\\?\Z)"""
# In JSON within JSON a quote has backslashes; the one that ends the value has as many.
_ESCAPED = r"""(?P<quote>\\{1,7}["'])(?:(?!(?<!\\)(?P=quote)).)*+(?:(?P=quote)|\Z)"""
# Lists and objects, to their own end where they are not nested deeper than this.
_nested = rf"""[\[{{](?:{_QUOTED}|[^\[\]{{}}"'])*+[\]}}]?"""
for _ in range(3):
    _nested = rf"""[\[{{](?:{_QUOTED}|[^\[\]{{}}"']|{_nested})*+[\]}}]?"""
_PARTS = r"""[^\r\n"'}]+(?:(?:(?<==)|(?<==\\))"[^"\r\n]*+"?[^\r\n"'}]*+)*+"""
_HEADER = re.compile(
    rf"""((?:cookie|authorization){_SEPARATOR})(?:{_QUOTED}|{_ESCAPED}|{_PARTS})""",
    re.IGNORECASE | re.DOTALL,
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{4,}(?:\.[\w-]*)+")
_AUTH_SCHEME = re.compile(r"\b(bearer|basic)(\s{1,8})([\w.~+/=-]{4,})", re.IGNORECASE)
_PARAMETER = re.compile(r"""(?<=[?&;])([^\s=&;?#"'<>]{1,256})=([^\s&;#"'<>]+)""")
_MANY_DIGITS = re.compile(r"[0-9][0-9 -]{12}")
_URL_CREDENTIALS = re.compile(
    r"""(?<=://)(?:[^\s/?#"'<>]*@|[^\s:@/]{0,256}:(?!\d{1,5}/)[^\s"'<>]{0,1024}@"""
    r"""|(?<!http://)(?<!https://)[^\s:@/]{0,256}:\d{1,5}/[^\s"'<>]{0,1024}@)"""
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----).)*+(?:-----END [A-Z ]{0,52}-----)?",
    re.DOTALL,
)
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?!\w)", re.ASCII)
_CPF = re.compile(r"(?<![\w.])\d{3}\.?\d{3}\.?\d{3}-?\d{2}(?!\w)", re.ASCII)
_NAME_BEFORE = re.compile(r"[\w-]{0,64}\Z")


class Redactor:
    """Which field names and which shapes of text are hidden; immutable, shared by the formatters.

    Args:
        keys: more sensitive words beside `SENSITIVE_KEYS`; a field whose name contains one,
            whatever its case and punctuation, loses its value.
        safe_keys: whole names that are shown although they contain a sensitive word.
        rules: more patterns with their replacements, applied after the built-in ones.
        cpf: hide valid CPF numbers too (LGPD); off, because they are often what a log is about.
    """

    def __init__(
        self,
        *,
        keys: Iterable[str] = (),
        safe_keys: Iterable[str] = (),
        rules: Sequence[Rule] = (),
        cpf: bool = False,
    ) -> None:
        spelled = (*SENSITIVE_KEYS, *keys)
        self._words = tuple(map(_normalized, spelled))
        if "" in self._words:
            raise ValueError("A sensitive key needs a letter or a digit; '' would hide every field")
        self._safe = frozenset(map(_normalized, (*SAFE_KEYS, *safe_keys)))
        self._hints = tuple(_PUNCTUATION.split(word.lower())[0] for word in spelled)
        self._assignments = _assignments(spelled)
        self._rules = (*(((_CPF, _cpf),) if cpf else ()), *rules)
        self.is_sensitive: Callable[[str], bool] = lru_cache(maxsize=2048)(self._is_sensitive)
        """Whether a field of this name loses its value."""

    def _is_sensitive(self, key: str) -> bool:
        name = _normalized(key)
        if name in self._safe:
            return False
        return any(word in name for word in self._words) or _last_word(key) in SENSITIVE_ENDINGS

    def text(self, text: str) -> str:
        """`text` without private keys, URL passwords, JWTs, `password=...` and card numbers.

        Each pattern is tried only where a substring that it needs is there: most log lines pay
        for a few substring searches and nothing else.
        """
        lower = text.lower()
        if "eyJ" in text:
            text = _JWT.sub(REDACTED, text)
        if "-----" in text:
            text = _PEM.sub(REDACTED, text)
        if "bearer" in lower or "basic" in lower:
            text = _AUTH_SCHEME.sub(_auth_scheme, text)
        if "=" in text or ":" in text or "'," in text or '",' in text:
            text = self._named_values(text, lower)
        if len(text) > 12 and _MANY_DIGITS.search(text):
            text = _CARD.sub(_card, text)
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text

    def _named_values(self, text: str, lower: str) -> str:
        if "://" in text and "@" in text:
            text = _URL_CREDENTIALS.sub(f"{REDACTED}@", text)
        if "?" in text:
            text = _PARAMETER.sub(self._parameter, text)
        if any(hint in lower for hint in self._hints):
            text = _HEADER.sub(rf"\1{REDACTED}", text)
            text = self._assignments.sub(self._assignment, text)
        return text

    def _assignment(self, match: re.Match[str]) -> str:
        before = _NAME_BEFORE.search(match.string[max(0, match.start() - 64) : match.start()])
        name = f"{before[0] if before else ''}{match[1]}"
        return f"{match[1]}{match[2]}{REDACTED}" if self.is_sensitive(name) else match[0]

    def query(self, query: str) -> str:
        """A URL's query string with the values of secret parameters hidden; names are kept."""
        return _PARAMETER.sub(self._parameter, f"?{query}")[1:]

    def _parameter(self, match: re.Match[str]) -> str:
        name = unquote_plus(match[1])
        words = _PUNCTUATION.sub(" ", name).lower().split()
        if self.is_sensitive(name) or not QUERY_KEYS.isdisjoint(words):
            return f"{match[1]}={REDACTED}"
        if "%" not in match[2]:
            return match[0]  # the other rules see it as it is
        value = unquote_plus(match[2])
        return match[0] if self.text(value) == value else f"{match[1]}={REDACTED}"


def _normalized(key: str) -> str:
    if not key.isascii():
        key = unicodedata.normalize("NFKC", key)  # full-width letters and the like
    return _PUNCTUATION.sub("", key).lower()


def _last_word(key: str) -> str:
    match = _LAST_WORD.search(key[-_LONGEST_ENDING:])
    return match[0].lower() if match else ""


def _assignments(words: Iterable[str]) -> re.Pattern[str]:
    """`name=value`, `"name": "value"` or `Name: value`, the name containing one of `words`."""
    spelled = "|".join("[ _.-]?".join(map(re.escape, _PUNCTUATION.split(word))) for word in words)
    return re.compile(
        rf"""((?:{spelled})[\w-]{{0,32}})({_SEPARATOR})(?:{_QUOTED}|{_ESCAPED}|{_nested}|[^\s,;&"'<>)}}\]]+)""",
        re.IGNORECASE | re.DOTALL,
    )


def _auth_scheme(match: re.Match[str]) -> str:
    """Credentials have a digit, a capital or a sign somewhere; "bearer authentication" is prose."""
    prose = match[3].rstrip(".").isalpha() and match[3][1:].islower()
    return match[0] if prose else f"{match[1]}{match[2]}{REDACTED}"


def _digits(match: re.Match[str]) -> str:
    return "".join(filter(str.isdecimal, match[0]))


def _card(match: re.Match[str]) -> str:
    """Only numbers with a right check digit (ISO/IEC 7812-1 annex B) and not all alike."""
    digits = _digits(match)
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    right = (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
    return REDACTED if right and len(set(digits)) > 1 else match[0]


def _cpf(match: re.Match[str]) -> str:
    numbers = [int(digit) for digit in _digits(match)]
    right = all(
        sum((size + 1 - i) * n for i, n in enumerate(numbers[:size])) * 10 % 11 % 10
        == numbers[size]
        for size in (9, 10)
    )
    return REDACTED if right and len(set(numbers)) > 1 else match[0]


DEFAULT_REDACTOR = Redactor()


def redact_text(text: str) -> str:
    """`text` without the credentials that `DEFAULT_REDACTOR` knows by their shape."""
    return DEFAULT_REDACTOR.text(text)


def redact_query(query: str | bytes) -> str:
    """A URL's query string, fit for a log: `page=2&token=[redacted]`."""
    text = query.decode("latin-1") if isinstance(query, bytes) else query
    return DEFAULT_REDACTOR.query(text)
