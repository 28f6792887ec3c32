"""What goes wrong with a cache: a key that cannot be built, a backend that does not answer."""

from __future__ import annotations


class UnkeyableArgumentError(TypeError):
    """An argument has no faithful text, so two different calls might share one answer.

    Raised at the call, before anything is read. Name the parameter in ``ignore=`` when the result
    does not depend on it, give ``key=``, or give its class a ``__cache_key__`` method that returns
    something keyable.
    """


class NotConnectedError(RuntimeError):
    """A manager or backend is used before ``connect()``; never treated as an outage."""


class BackendUnavailableError(Exception):
    """The backend did not answer in time, or is left alone because it did not before."""


class BackendRefusedError(Exception):
    """The backend answered, and refused this one operation (out of memory, read-only replica).

    A backend raises it so that the circuit breaker does not take the refusal for an outage.
    """
