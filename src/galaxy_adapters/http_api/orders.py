"""What programs do with orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response

from galaxy_adapters._web.events import last_event_id
from galaxy_adapters._web.guard import Visitor
from galaxy_adapters._web.problems import Problem
from galaxy_adapters._web.streams import DrawnEvents
from galaxy_adapters.http_api.bodies import MAX_KEY, read_order
from galaxy_adapters.http_api.documents.orders import (
    CancelDocument,
    OrderDocument,
    OrderList,
    RetryDocument,
)
from galaxy_adapters.http_api.operations import Answer, Operation, answer
from galaxy_adapters.http_api.parameters import Choices, Number, OrderIdentifier, Text
from galaxy_adapters.http_api.watching import LiveOrders, order_events
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.operations import Cancellation
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FrontDesk, Insight

__all__ = ["OrdersApi"]

ORDER_ID = OrderIdentifier()
KEY = Text(
    name="Idempotency-Key",
    place="header",
    max_length=MAX_KEY,
    description="The same key is the same order: send it again after a lost answer.",
)
MACHINE = Text(name="machine", description="A machine's name; absent: all of them.")
STATE = Choices(name="state", description="Only orders in these states.", kind=OrderState)
CONVERSATION = Text(name="conversation", description="Only orders of this conversation.")
LIMIT = Number(name="limit", description="At most so many.", default=50, least=1, most=500)
SECONDS = Number(
    name="seconds",
    description="How long to wait.",
    default=30,
    least=0,
    most=60,
    is_whole=False,
)
LAST_EVENT = Text(
    name="Last-Event-ID",
    place="header",
    max_length=20,
    description="The id of the last event that was seen; browsers send it by themselves.",
)
_NOT_FOUND = HTTPStatus.NOT_FOUND.value


@define(eq=False)
class OrdersApi:
    """Handlers below `/api/orders`."""

    _desk: FrontDesk
    _insight: Insight
    _now: Callable[[], datetime]
    _look_every: timedelta
    _live: LiveOrders = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._live = LiveOrders(self._insight, self._look_every)

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return [
            Operation(
                id="listOrders",
                method="GET",
                path="/api/orders",
                handler=self._list,
                summary="List orders, the newest first",
                description="An order that ended in the last second may be missing.",
                parameters=(MACHINE, STATE, CONVERSATION, LIMIT),
                answers={200: Answer(description="Those that match.", document=OrderList)},
                problems=(_NOT_FOUND,),
            ),
            Operation(
                id="submitOrder",
                method="POST",
                path="/api/orders",
                handler=self._submit,
                summary="Hand an order in",
                description="It is on disk when the answer comes. `target` names the machine.",
                parameters=(KEY,),
                takes_order=True,
                answers={
                    201: Answer(
                        description="A new order.", document=OrderDocument, headers=_LOCATION
                    ),
                    200: Answer(
                        description="It was known already: this is how it stands.",
                        document=OrderDocument,
                        headers=_LOCATION,
                    ),
                },
                problems=(_NOT_FOUND, 413, 415, 422),
            ),
            Operation(
                id="getOrder",
                method="GET",
                path="/api/orders/{order_id}",
                handler=self._get,
                summary="One order as it stands",
                answers={200: Answer(description="The order.", document=OrderDocument)},
                parameters=(ORDER_ID,),
                problems=(_NOT_FOUND,),
            ),
            Operation(
                id="waitForOrder",
                method="GET",
                path="/api/orders/{order_id}/wait",
                handler=self._wait,
                summary="Wait until the order has ended",
                description="Look at `state`: after `seconds` it is answered as it stands.",
                parameters=(ORDER_ID, SECONDS),
                answers={200: Answer(description="The order.", document=OrderDocument)},
                problems=(_NOT_FOUND,),
            ),
            Operation(
                id="watchOrder",
                method="GET",
                path="/api/orders/{order_id}/events",
                handler=self._events,
                summary="Watch the order while it waits and runs",
                description=(
                    "Server-sent events: `progress` (ProgressDocument), `text` (TextDocument: more"
                    " of the answer as it is written) and, last, `ended` (OrderDocument), or"
                    " `problem` (ProblemDocument) when there is nothing more to be seen."
                ),
                parameters=(ORDER_ID, LAST_EVENT),
                answers={
                    200: Answer(description="The stream.", media_type="text/event-stream"),
                },
                problems=(_NOT_FOUND,),
            ),
            Operation(
                id="cancelOrder",
                method="POST",
                path="/api/orders/{order_id}/cancel",
                handler=self._cancel,
                summary="Have the order end as cancelled",
                description="Safe twice.",
                answers={
                    200: Answer(description="It is over.", document=CancelDocument),
                    202: Answer(description="It is being stopped.", document=CancelDocument),
                },
                parameters=(ORDER_ID,),
                problems=(_NOT_FOUND,),
            ),
            Operation(
                id="retryOrder",
                method="POST",
                path="/api/orders/{order_id}/retry",
                handler=self._retry,
                summary="Enqueue an order that ended without success once more",
                parameters=(ORDER_ID,),
                answers={
                    201: Answer(
                        description="The new order.", document=RetryDocument, headers=_LOCATION
                    )
                },
                problems=(_NOT_FOUND, 409),
            ),
            Operation(
                id="getResponse",
                method="GET",
                path="/api/orders/{order_id}/response",
                handler=self._response,
                summary="The answer alone, as Markdown",
                answers={200: Answer(description="The answer.", media_type="text/markdown")},
                parameters=(ORDER_ID,),
                problems=(_NOT_FOUND,),
            ),
        ]

    async def _list(self, request: Request) -> Response:
        conversation = CONVERSATION.read(request)
        found = await self._desk.list(
            machine=MACHINE.read(request),
            states=STATE.read(request),
            conversation=None if conversation is None else ConversationKey(conversation),
            limit=int(LIMIT.read(request)),
        )
        return answer(OrderList(orders=tuple(OrderDocument.of(f, is_whole=False) for f in found)))

    async def _submit(self, request: Request) -> Response:
        key = KEY.read(request)
        order = await read_order(request, received_at=self._now(), key=key)
        found = await self._desk.submit(order)
        status = HTTPStatus.CREATED if found.is_new else HTTPStatus.OK
        return answer(OrderDocument.of(found), status, _location(found.view.order.id))

    async def _get(self, request: Request) -> Response:
        return answer(OrderDocument.of(await self._desk.get(ORDER_ID.read(request))))

    async def _wait(self, request: Request) -> Response:
        order_id, seconds = ORDER_ID.read(request), SECONDS.read(request)
        found = await self._desk.wait(order_id, timedelta(seconds=seconds))
        return answer(OrderDocument.of(found))

    async def _events(self, request: Request) -> Response:
        order_id = ORDER_ID.read(request)
        seen = last_event_id(LAST_EVENT.read(request), None)
        found = await self._desk.get(order_id)  # an order that is not there is no stream
        return DrawnEvents(order_events(found, self._desk, self._live, seen=seen))

    async def _cancel(self, request: Request) -> Response:
        order_id = ORDER_ID.read(request)
        result = await self._desk.cancel(order_id, by=_by(request))
        is_over = result is not Cancellation.REQUESTED
        found = OrderDocument.of(await self._desk.get(order_id))
        return answer(
            CancelDocument(result=result, order=found),
            HTTPStatus.OK if is_over else HTTPStatus.ACCEPTED,
        )

    async def _retry(self, request: Request) -> Response:
        order_id = ORDER_ID.read(request)
        new_id = await self._desk.retry(order_id, by=_by(request))
        found = OrderDocument.of(await self._desk.get(new_id))
        document = RetryDocument(order=found, retry_of=order_id)
        return answer(document, HTTPStatus.CREATED, _location(new_id))

    async def _response(self, request: Request) -> Response:
        order_id = ORDER_ID.read(request)
        found = await self._desk.get(order_id)
        if found.response is None:
            raise Problem(
                _NOT_FOUND,
                f"The order is {found.view.state.value} and has no answer"
                + (" on disk." if found.view.state.is_final else " yet: wait for its end."),
            )
        body = found.response.text.encode("utf-8", "replace")
        return Response(body, media_type="text/markdown", headers={"Cache-Control": "no-store"})


_LOCATION: Mapping[str, str] = {"Location": "Where the order is found from now on."}


def _location(order_id: OrderId) -> dict[str, Any]:
    return {"Location": f"/api/orders/{quote(order_id, safe='')}"}


def _by(request: Request) -> str:
    """Who acts, for the trail."""
    visitor = request.scope.get("galaxy.visitor")
    person = visitor.person if isinstance(visitor, Visitor) else ""
    return f"web:{person}" if person else "api"
