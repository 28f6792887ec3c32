"""Integrations in tests: what each endpoint answers, and a failure for every other call."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from tijolo.http import _intercept
from tijolo.http.integration import Endpoint

__all__ = ["IntegrationCalls", "MockRules", "MockedCall", "UnmockedCallError", "mock_integrations"]


class UnmockedCallError(AssertionError):
    """A call of an endpoint for which the test has no rule."""


@dataclass(frozen=True, slots=True)
class MockedCall:
    """One call that a rule answered, or that had no rule."""

    endpoint: Endpoint[Any, Any]
    arguments: Mapping[str, Any]
    """By name, defaults included."""


@dataclass(frozen=True, slots=True)
class MockRules:
    """What endpoints answer, by endpoint: ``MockRules({Translator.translate: answer})``.

    An answer is an exception, which is raised; a function, which is called with the arguments of
    the call, and awaited if need be; or anything else, which is returned. What comes out is held
    against the endpoint's annotation, as the real answer would be: an ``httpx.Response`` of status
    404 becomes what a 404 becomes.

    Raises:
        TypeError: for a key that is not an endpoint.
    """

    rules: Mapping[Endpoint[Any, Any], Any] = field(default_factory=dict[Endpoint[Any, Any], Any])

    def __post_init__(self) -> None:
        for key in self.rules:
            if not isinstance(key, Endpoint):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"a rule is for an endpoint, as in Class.method, got {key!r}")


class IntegrationCalls:
    """What was called inside of ``mock_integrations``, in order."""

    def __init__(self, rules: MockRules) -> None:
        self._rules = rules.rules
        self.all: list[MockedCall] = []
        self.unmocked: list[MockedCall] = []

    @property
    def unused(self) -> list[Endpoint[Any, Any]]:
        """The endpoints whose rule nobody asked for."""
        return [endpoint for endpoint in self._rules if not self.of(endpoint)]

    def of(self, endpoint: Endpoint[Any, Any]) -> list[Mapping[str, Any]]:
        """The arguments of each call of ``endpoint``."""
        return [call.arguments for call in self.all if call.endpoint is endpoint]

    async def answer(
        self, endpoint: Endpoint[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Answer one call by its rule.

        Raises:
            UnmockedCallError: when it has none.
        """
        bound = endpoint.signature().bind(*args, **kwargs)
        bound.apply_defaults()
        call = MockedCall(endpoint, dict(bound.arguments))
        self.all.append(call)
        if endpoint not in self._rules:
            self.unmocked.append(call)
            raise UnmockedCallError(f"{endpoint!r} was called and has no rule")
        rule = self._rules[endpoint]
        if isinstance(rule, BaseException):
            raise rule
        if isinstance(rule, type) and issubclass(rule, BaseException):
            raise rule
        if not callable(rule):  # pyright: ignore[reportUnknownArgumentType]
            return rule
        answer: Any = rule(*args, **kwargs)
        return await answer if isawaitable(answer) else answer


@contextmanager
def mock_integrations(
    rules: MockRules | Mapping[Endpoint[Any, Any], Any] | None = None,
    *,
    all_used: bool = False,
) -> Generator[IntegrationCalls]:
    """Answer every call of every endpoint by rule, in all threads; usable as a decorator too.

    A call without a rule raises where it is made, and again at the end of the block, so that an
    error handler of the application cannot swallow it.

    Args:
        rules: What to answer.
        all_used: Fail at the end for a rule that nobody asked for.

    Raises:
        UnmockedCallError: at the end, naming the calls without a rule.
        AssertionError: at the end, naming the rules that were not used.
    """
    calls = IntegrationCalls(rules if isinstance(rules, MockRules) else MockRules(rules or {}))
    _intercept.active.append(calls)
    try:
        yield calls
    finally:
        _intercept.active.remove(calls)
    if calls.unmocked:
        names = sorted({repr(call.endpoint) for call in calls.unmocked})
        raise UnmockedCallError(f"called without a rule: {', '.join(names)}")
    if all_used and calls.unused:
        raise AssertionError(f"rules that nobody used: {', '.join(map(repr, calls.unused))}")
