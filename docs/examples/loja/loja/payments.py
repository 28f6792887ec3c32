"""Payments, as the provider reports them."""

# No `from __future__ import annotations` here: FastAPI could not see the factory's local names.
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from loja.services import OrderService
from loja.shop import Shop
from tijolo.core import BaseDTO, ValidationException
from tijolo.web.webhooks import MemoryReplayStore, WebhookSignatureVerifier


class PaymentEvent(BaseDTO):
    """An order was paid."""

    event: Literal["order.paid"]
    order_id: UUID


def make_payments_router(shop: Shop, secret: str) -> APIRouter:
    """`POST /webhooks/payments`, for who holds the secret, once for each delivery."""
    Session = Annotated[AsyncSession, Depends(shop.db.session_dependency)]  # noqa: N806
    verifier = WebhookSignatureVerifier(
        secret, timestamp_header="X-Timestamp", replay_store=MemoryReplayStore()
    )
    router = APIRouter(prefix="/webhooks", tags=["webhooks"])

    @router.post("/payments", status_code=204)
    async def on_payment(
        body: Annotated[bytes, Depends(verifier.dependency())], session: Session
    ) -> None:
        try:
            event = PaymentEvent.model_validate_json(body)
        except ValidationError:
            raise ValidationException("The body is no event that this shop knows") from None
        await OrderService(shop, session).pay(event.order_id)

    return router
