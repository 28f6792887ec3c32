"""E-mails of the shop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from loja.models import Customer, Order
from tijolo.email import EmailUtils, OutgoingEmail


class OrderMail:
    """Tells somebody of each order."""

    def __init__(self, email: EmailUtils, to: str) -> None:
        self.email = email
        self.to = to

    async def placed(self, order: Order, customer: Customer) -> Callable[[], Awaitable[None]]:
        """What to do after the commit; the e-mail is written now, while a mistake can be undone."""
        subject, text, html = await self.email.render(
            "order_placed",
            {
                "order": str(order.id),
                "customer": customer.name,
                "items": sum(line.quantity for line in order.lines),
                "total": f"R$ {order.total_cents / 100:.2f}",
            },
        )
        return await self.email.after_commit(
            OutgoingEmail(to=self.to, subject=subject, body=text, html=html)
        )
