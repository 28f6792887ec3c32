"""The street of a customer's CEP, which another service knows."""

# No `from __future__ import annotations` here: FastAPI could not see the factory's local names.
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from loja.repositories import CustomerRepository
from loja.shop import Shop
from tijolo.cache import cached
from tijolo.core import NotFoundException
from tijolo.http import stability as sp
from tijolo.http.integration import ApiHTTP, EndpointsDeclaration, HTTPMethod, IntegrationHTTP

DAY = 86_400


class AddressUnknownError(NotFoundException):
    """The customer has no CEP, or nobody knows it."""

    code = "ADDRESS_UNKNOWN"
    message = "There is no address for this customer"


class Ceps(EndpointsDeclaration):
    """What we use of the service of CEPs."""

    integration = IntegrationHTTP("CEP", doc="Streets of Brazil by CEP")

    class Schema:
        """Its answers."""

        class Place(BaseModel):
            """A street; `erro` is how the service says that it knows none."""

            logradouro: str = ""
            bairro: str = ""
            localidade: str = ""
            uf: str = ""
            erro: bool = False

    @integration.endpoint(HTTPMethod.get, "/ws/{cep}/json/", docurl="https://viacep.com.br")
    @sp.Timeout(5)
    async def find(api: ApiHTTP, cep: str) -> Schema.Place:  # noqa: N805 - the integration's shape
        """The street of a CEP of eight digits."""
        return await api.call({"cep": cep})


def make_addresses_router(shop: Shop, ceps: Ceps) -> APIRouter:
    """`GET /customers/{id}/address`: streets move slowly, so each CEP is asked for once a day."""
    Reading = Annotated[AsyncSession, Depends(shop.db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/customers", tags=["customers"])

    @cached(shop.cache, ttl=DAY, key="cep:{cep}", stale_if_error=7 * DAY)
    async def place_of(cep: str) -> Ceps.Schema.Place:
        return await ceps.find(cep)

    @router.get("/{customer_id}/address")
    async def address(customer_id: UUID, session: Reading) -> Ceps.Schema.Place:
        customer = await CustomerRepository(session).get_by_id(customer_id)
        if customer.cep is None:
            raise AddressUnknownError
        place = await place_of(customer.cep)
        if place.erro:
            raise AddressUnknownError
        return place

    return router
