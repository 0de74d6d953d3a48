"""`galaxy order list|show|wait|cancel|retry|dismiss`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_apps.cli import output
from galaxy_apps.cli.output import print_fields, print_json, print_table, warn, write
from galaxy_apps.cli.place import (
    find_order,
    hermes_problem,
    local_time,
    open_place,
    operator,
    order_document,
    run,
    seconds,
)
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.state import OrderState

if TYPE_CHECKING:
    from galaxy_apps.wiring import Place
    from galaxy_core.domain.operations import Cancellation, OrderView

STATE_STYLES = {
    "pending": output.YELLOW,
    "claimed": output.CYAN,
    "running": output.CYAN,
    "succeeded": output.GREEN,
    "failed": output.RED,
    "cancelled": output.DIM,
    "expired": output.DIM,
    "dead": output.RED,
}


def list_orders(
    *,
    config: Path | None,
    machine: str | None,
    states: list[str] | None,
    limit: int,
    is_json: bool,
) -> ExitCode:
    """Print the newest orders, newest first."""
    place = open_place(config, machine)
    wanted = frozenset(map(OrderState, states)) if states else None
    views = run(lambda: place.catalogue().list(states=wanted, limit=limit))
    if is_json:
        print_json({"orders": [order_document(view) for view in views]})
    elif not views:
        write(f"No orders in {place.machine.repo_path}.")
    else:
        print_table(
            ("ORDER", "STATE", "WHEN", "FROM", "WHAT"),
            [
                (
                    view.order.id,
                    view.state.value,
                    local_time(view.ending.finished_at if view.ending else view.received_at),
                    view.order.sender,
                    view.order.payload[:1000],
                )
                for view in views
            ],
            elastic=4,
            styles={1: STATE_STYLES},
        )
    return ExitCode.OK


def show(*, config: Path | None, machine: str | None, order_id: str, is_json: bool) -> ExitCode:
    """Print one order, and its answer if it has one."""
    place = open_place(config, machine)

    async def look() -> tuple[OrderView, str | None]:
        view = await find_order(place.catalogue(), order_id)
        response = await place.responses().get(view.order.id)
        return view, response.text if response else None

    view, answer = run(look)
    if is_json:
        print_json({**order_document(view), "response": answer})
        return ExitCode.OK
    document = order_document(view) | {
        "timestamp": local_time(view.order.timestamp),
        "received_at": local_time(view.received_at),
        "not_before": local_time(view.order.not_before),
        "expires_at": local_time(view.order.expires_at),
        "waits_until": local_time(view.waits_until),
        "started_at": local_time(view.ending.started_at if view.ending else None),
        "finished_at": local_time(view.ending.finished_at if view.ending else None),
    }
    print_fields({name.replace("_", " "): value for name, value in document.items()})
    if answer is not None:
        write()
        write(output.safe(answer))
    return ExitCode.OK


def wait(
    *,
    config: Path | None,
    machine: str | None,
    order_id: str,
    timeout: float | None,
    is_json: bool,
) -> ExitCode:
    """Wait until the order has ended and print its answer."""
    place = open_place(config, machine)

    async def look() -> OrderView:
        view = await find_order(place.catalogue(), order_id)
        if not view.state.is_final:
            await say_if_nobody_works(place)
        return view

    return wait_and_print(place, run(look).order.id, timeout=timeout, is_json=is_json)


async def say_if_nobody_works(place: Place) -> None:
    """Warn on standard error when no Hermes is alive."""
    problem = await hermes_problem(place)
    if problem is not None:
        warn(f"galaxy: {problem}.")


def wait_and_print(
    place: Place, order_id: str, *, timeout: float | None, is_json: bool
) -> ExitCode:
    """Wait for the order's end; print its answer to standard output, the rest to standard error."""
    from galaxy_core.domain.ids import OrderId
    from galaxy_core.services.waiting import wait_for_end

    async def work() -> tuple[OrderView, str]:
        view = await wait_for_end(
            place.catalogue(), place.clock(), OrderId(order_id), patience=seconds(timeout)
        )
        response = await place.responses().get(view.order.id)
        return view, response.text if response else ""

    view, answer = run(work)
    if is_json:
        print_json({**order_document(view), "response": answer or None})
    elif view.state.is_final:
        write(output.safe(answer))
    if not view.state.is_final:
        warn(
            f"galaxy: the order {view.order.id} is still {view.state.value}; "
            f"`galaxy order wait {view.order.id}` waits on."
        )
        return ExitCode.TIMED_OUT
    return ExitCode.OK if view.state is OrderState.SUCCEEDED else ExitCode.NOT_SUCCEEDED


def cancel(
    *,
    config: Path | None,
    machine: str | None,
    order_id: str,
    reason: str,
    is_waiting: bool,
    timeout: float | None,
    is_json: bool,
) -> ExitCode:
    """Have the order end as cancelled: at once if it only waits, else as soon as Hermes hears."""
    from galaxy_apps.logging import configure_logging
    from galaxy_apps.wiring import build_desk
    from galaxy_core.domain.operations import Cancellation
    from galaxy_core.services.waiting import wait_for_end

    place = open_place(config, machine)
    configure_logging(level="WARNING", secrets=place.settings.secrets())

    async def work() -> tuple[Cancellation, OrderView]:
        found = await find_order(place.catalogue(), order_id)
        async with build_desk(place) as desk:
            result = await desk.cancel(found.order.id, by=operator(), reason=reason)
        if result is Cancellation.REQUESTED:
            await say_if_nobody_works(place)
        patience = seconds(timeout) if is_waiting else seconds(0)
        view = await wait_for_end(
            place.catalogue(), place.clock(), found.order.id, patience=patience
        )
        return result, view

    result, view = run(work)
    if is_json:
        print_json({"order_id": view.order.id, "result": result.value, "state": view.state.value})
    else:
        write(_cancel_sentence(result, view))
    if is_waiting and not view.state.is_final:
        return ExitCode.TIMED_OUT
    if result is Cancellation.ALREADY_ENDED and view.state is not OrderState.CANCELLED:
        return ExitCode.FAILURE
    return ExitCode.OK


def _cancel_sentence(result: Cancellation, view: OrderView) -> str:
    if result == "already_ended":
        return f"The order {view.order.id} has ended already, as {view.state.value}."
    if view.state.is_final:
        return f"The order {view.order.id} has ended as {view.state.value}."
    return f"Requested: whoever holds the order {view.order.id} will end it as cancelled."


def retry(*, config: Path | None, machine: str | None, order_id: str, is_json: bool) -> ExitCode:
    """Hand an order that ended without success in once more, as a new order."""
    from galaxy_apps.logging import configure_logging
    from galaxy_apps.wiring import build_desk

    place = open_place(config, machine)
    configure_logging(level="WARNING", secrets=place.settings.secrets())

    async def work() -> tuple[str, str]:
        found = await find_order(place.catalogue(), order_id)
        async with build_desk(place) as desk:
            return found.order.id, await desk.retry(found.order.id, by=operator())

    old_id, new_id = run(work)
    if is_json:
        print_json({"order_id": old_id, "new_order_id": new_id})
    else:
        write(f"The order {old_id} goes on as {new_id}.")
    return ExitCode.OK


def dismiss(
    *, config: Path | None, machine: str | None, order_ids: list[str], is_json: bool
) -> ExitCode:
    """Have orders that were given up wait for nobody's decision any more; all of them or none."""
    from galaxy_apps.logging import configure_logging
    from galaxy_apps.wiring import build_desk
    from galaxy_core.domain.errors import OrderNotDismissable

    place = open_place(config, machine)
    configure_logging(level="WARNING", secrets=place.settings.secrets())

    async def work() -> dict[str, bool]:
        found = [await find_order(place.catalogue(), order_id) for order_id in order_ids]
        for view in found:
            if view.state is not OrderState.DEAD:
                raise OrderNotDismissable(
                    f"The order {view.order.id} was not given up (it is {view.state.value}): "
                    "only those that were wait for a decision. Nothing was dismissed."
                )
        async with build_desk(place) as desk:
            # One that was named twice is decided on once.
            wanted = dict.fromkeys(view.order.id for view in found)
            return {one: await desk.dismiss(one, by=operator()) for one in wanted}

    results = run(work)
    if is_json:
        print_json(
            {"orders": [{"order_id": one, "is_new": is_new} for one, is_new in results.items()]}
        )
        return ExitCode.OK
    for order_id, is_new in results.items():
        write(
            f"The order {order_id} waits for no decision any more."
            if is_new
            else f"The order {order_id} was decided on before."
        )
    return ExitCode.OK
