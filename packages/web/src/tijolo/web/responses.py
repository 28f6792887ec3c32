"""An envelope for successes, for services that want one; nothing puts it on by itself.

Errors are problem documents with or without it (RFC 9457): a success envelope is a house's taste,
and clients that know HTTP do not need it.
"""

# annotations stay objects: FastAPI reads those of ResponseFactory.__init__, which has no globals
# that older versions would find

from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field

from tijolo.core import BasePaginationSchema, CursorPaginationSchema
from tijolo.web.problems import request_id_of

DataT = TypeVar("DataT")


class SuccessEnvelope(BaseModel, Generic[DataT]):
    """A success: ``response_model`` of the routes that answer one."""

    data: DataT
    message: str | None = Field(default=None, description="What happened, for people.")
    meta: dict[str, Any] = Field(
        default_factory=dict[str, Any], description="About the data: its page, for one."
    )
    request_id: str | None = None


class ResponseFactory:
    """Makes the envelopes of one request; take it as ``Responses`` in an endpoint.

    Declare the return type, ``-> SuccessEnvelope[Item]``: it filters the data as any response
    model does, and OpenAPI shows it.
    """

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

    def success(
        self, data: DataT, *, message: str | None = None, meta: Mapping[str, Any] | None = None
    ) -> SuccessEnvelope[DataT]:
        """``data`` in its envelope, with the status of the route."""
        return SuccessEnvelope(
            data=data,
            message=message,
            meta=dict(meta or {}),
            request_id=request_id_of(self._request.scope),
        )

    def created(
        self, data: DataT, *, location: str | None = None, message: str | None = None
    ) -> SuccessEnvelope[DataT]:
        """The same with status 201 and, if given, ``Location`` (RFC 9110, section 15.3.2)."""
        self._response.status_code = 201
        if location is not None:
            self._response.headers["Location"] = location
        return self.success(data, message=message)

    def accepted(
        self, data: DataT, *, location: str | None = None, message: str | None = None
    ) -> SuccessEnvelope[DataT]:
        """The same with status 202: ``location`` says where to ask how it went."""
        envelope = self.created(data, location=location, message=message)
        self._response.status_code = 202
        return envelope

    def page(
        self,
        page: BasePaginationSchema[DataT] | CursorPaginationSchema[DataT],
        *,
        message: str | None = None,
    ) -> SuccessEnvelope[list[DataT]]:
        """The items of a page as data, and everything else about it as ``meta``."""
        meta = page.model_dump(mode="json", exclude={"items"})
        return self.success(page.items, message=message, meta=meta)


Responses = Annotated[ResponseFactory, Depends()]
"""``responses: Responses`` in an endpoint."""
