"""Port: the responses; writing one is what ends an order."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Response


class ResponseStore(Protocol):
    """One response per order, the commit record of its end."""

    @abstractmethod
    async def commit(self, response: Response) -> None:
        """Store the response; when this returns, it survives a power cut.

        First come, first served: raises `AlreadyAnswered` when the order has a response, which
        then stays as it is.  Readers see it whole or not at all.  Raises `StorageUnavailable`
        when it cannot be stored now; then nothing was.
        """

    @abstractmethod
    async def get(self, order_id: OrderId) -> Response | None:
        """The response as it was committed; None when the order has none.

        `text` and `payload` come back as they went in, whatever they hold.
        """

    @abstractmethod
    async def exists(self, order_id: OrderId) -> bool:
        """Whether the order has a response; cheap."""
