"""The wishes themselves, in memory: what matters here is who may see and change them."""

from __future__ import annotations

from tijolo.core import ConflictException, ServiceUnavailableException


class TooManyWishesException(ConflictException):
    """The list is as long as it may be."""

    code = "TOO_MANY_WISHES"
    message = "Take a wish off the list first"


class Wishes:
    """Each customer's list, by the id that their token names.

    Args:
        most: Wishes of one customer.
        customers: Customers with a list.
    """

    def __init__(self, *, most: int = 20, customers: int = 10_000) -> None:
        self._most, self._customers = most, customers
        self._lists: dict[str, list[str]] = {}

    def of(self, customer: str) -> list[str]:
        """The customer's wishes, the oldest first."""
        return list(self._lists.get(customer, []))

    def add(self, customer: str, product: str) -> list[str]:
        """Wish for ``product``, once.

        Raises:
            TooManyWishesException: The list is full.
            ServiceUnavailableException: There are too many lists.
        """
        wishes = self._lists.get(customer, [])
        if product in wishes:
            return list(wishes)
        if len(wishes) >= self._most:
            raise TooManyWishesException(details={"most": self._most})
        if not wishes and len(self._lists) >= self._customers:
            raise ServiceUnavailableException("No room for another list")
        self._lists[customer] = [*wishes, product]
        return self.of(customer)

    def forget(self, customer: str) -> None:
        """Throw the customer's list away, if there is one."""
        self._lists.pop(customer, None)
