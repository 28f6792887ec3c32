"""A few customers and products to look at."""

from __future__ import annotations

from random import Random

from loja.models import Customer, Product
from loja.repositories import CustomerRepository, ProductRepository
from tijolo.br_validators import generate_cep, generate_cnpj, generate_cpf, generate_phone_br
from tijolo.db import AsyncDatabaseManager

_PRODUCTS = [
    ("CAFE-500", "Café em grãos 500 g", 3990, 40),
    ("ERVA-1000", "Erva-mate 1 kg", 2450, 25),
    ("GOIABADA", "Goiabada cascão", 1890, 12),
]


async def seed(db: AsyncDatabaseManager) -> bool:
    """Fill an empty shop; False where there is something in it already."""
    async with db.transaction() as session:
        customers, products = CustomerRepository(session), ProductRepository(session)
        if await customers.exists({}):
            return False
        # the same people every time, with numbers that are valid and invented
        random = Random(1)
        documents = [
            ("Ana Souza", generate_cpf(random=random)),
            ("Padaria Central", generate_cnpj(random=random)),
            ("Oficina Nova", generate_cnpj(alphanumeric=True, random=random)),
        ]
        await customers.add_all(
            Customer(
                name=name,
                document=document,
                phone=generate_phone_br(random=random),
                cep=generate_cep(random=random),
            )
            for name, document in documents
        )
        await products.add_all(
            Product(sku=sku, name=name, price_cents=price, stock=stock)
            for sku, name, price, stock in _PRODUCTS
        )
        return True
