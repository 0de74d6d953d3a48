"""Responses, kept in memory."""

from __future__ import annotations

from attrs import define, field

from galaxy_core.domain.errors import AlreadyAnswered
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Response
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.testing.faults import Faults


@define(eq=False)
class MemoryResponseStore(ResponseStore):
    """One response per order; writes are named `responses.commit`."""

    responses: dict[OrderId, Response] = field(factory=dict)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def commit(self, response: Response) -> None:
        async with self.faults.around("responses.commit"):
            if response.order_id in self.responses:
                raise AlreadyAnswered(f"order {response.order_id} is answered already")
            self.responses[response.order_id] = response

    async def get(self, order_id: OrderId) -> Response | None:
        async with self.faults.around("responses.get", is_write=False):
            return self.responses.get(order_id)

    async def exists(self, order_id: OrderId) -> bool:
        async with self.faults.around("responses.exists", is_write=False):
            return order_id in self.responses
