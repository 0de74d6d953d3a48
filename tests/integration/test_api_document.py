"""The HTTP API called as its document allows, and as it does not: by schemathesis, over ASGI."""

from __future__ import annotations

from typing import Any

import schemathesis
from attrs import define
from hypothesis import HealthCheck, settings
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from galaxy_adapters._web import Site, WebAccess
from galaxy_adapters.http_api import routes
from galaxy_core.domain.order import Order
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FoundOrder
from galaxy_core.testing import ManualClock
from galaxy_core.testing.factories import make_event, make_order, make_response, make_session
from galaxy_core.testing.memory import MemoryNoteStore
from tests.web_doubles import World

TOKEN = "a-token-for-programs"
HEADERS = {"Host": "127.0.0.1:5000", "Authorization": f"Bearer {TOKEN}"}
KNOWN = ("ended", "failed", "stopped")
"""Orders that stand there from the start."""
EXAMPLES = 30


@define(eq=False, kw_only=True)
class QuickWorld(World):
    """One whose orders end at once, so that no call waits for one."""

    async def submit(self, order: Order, *, machine: str | None = None) -> FoundOrder:
        """Take it, and have it done."""
        found = await super().submit(order, machine=machine)
        self.put(found.view.order, OrderState.SUCCEEDED, machine=found.machine)
        return found


def _schema() -> Any:  # noqa: ANN401 - schemathesis' own
    world = QuickWorld()
    world.put(make_order(id="ended"), OrderState.SUCCEEDED, response=make_response())
    world.put(make_order(id="failed"), OrderState.FAILED)
    world.put(make_order(id="stopped"), OrderState.CANCELLED)
    world.events.append(("test", make_event(data={"a": 1})))
    world.threads = [("test", make_session())]
    clock = ManualClock()
    site = Site(WebAccess(token=TOKEN), MemoryNoteStore(clock), clock)
    app = site.application(routes(world, world, world, version="1", now=lambda: world.now))
    return schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=HEADERS)


SCHEMA = _schema()
NOT_PROMISED = [positive_data_acceptance, negative_data_rejection]
"""A schema says less than the API checks (how orders depend on others), and an empty parameter
counts as none: both are answered as the document says."""


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]  # it is made at run time
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_documented(case: schemathesis.Case[Any]) -> None:
    """No 5xx; no status, header, type or shape that the document lacks; nothing without a token."""
    made_up = case.path_parameters.get("order_id")
    if made_up is not None and len(made_up) % 2:
        case.path_parameters["order_id"] = KNOWN[len(made_up) % len(KNOWN)]
    case.call_and_validate(headers=HEADERS, excluded_checks=NOT_PROMISED)
