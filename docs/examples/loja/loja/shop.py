"""What the parts of the shop share, made once."""

from __future__ import annotations

from dataclasses import dataclass

from loja.mail import OrderMail
from tijolo.cache import Cache
from tijolo.db import AsyncDatabaseManager
from tijolo.observability.prometheus import Counter

CATALOG = "products"
"""The tag of what is kept of the products."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The database, what is kept of it, and who hears of orders."""

    db: AsyncDatabaseManager
    cache: Cache
    orders: Counter
    """Orders by what became of them: placed, paid, cancelled."""
    mail: OrderMail | None = None


def reais(cents: int) -> str:
    """Whole cents as people read them: `R$ 1.234,56`."""
    whole, rest = divmod(cents, 100)
    return f"R$ {whole:,}".replace(",", ".") + f",{rest:02d}"
