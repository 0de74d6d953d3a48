"""`galaxy order submit`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from galaxy_apps.cli.errors import UsageError
from galaxy_apps.cli.orders import say_if_nobody_works, wait_and_print
from galaxy_apps.cli.output import is_terminal, print_json, warn, write
from galaxy_apps.cli.place import (
    find_order,
    hermes_problem,
    open_place,
    operator,
    read_moment,
    run,
    seconds,
)
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.wiring import Place
from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.domain.order import Attachment, Order, Priority
from galaxy_core.domain.policy import OrderLimits, why_refused
from galaxy_core.ports.order_queue import Enqueued


def submit(
    *,
    config: Path | None,
    machine: str | None,
    text: str | None,
    session: str | None,
    files: list[Path] | None,
    priority: str,
    agent: str | None,
    model: str | None,
    project: str | None,
    after: list[str] | None,
    not_before: str | None,
    expires: str | None,
    order_id: str | None,
    run_timeout: float | None,
    is_waiting: bool,
    timeout: float | None,
    is_json: bool,
) -> ExitCode:
    """Hand an order in.  Prints its id; with `--wait` its answer instead."""
    place = open_place(config, machine)
    order = Order(
        id=_order_id(order_id),
        payload=_payload(text),
        sender=operator(),
        target=place.machine.name if place.machine.names is not None else None,
        timestamp=datetime.now(UTC),
        session=session,
        media=tuple(_attachment(path) for path in files or ()),
        priority=Priority[priority.upper()],
        agent=agent,
        model=model,
        project=_project(place, project),
        not_before=read_moment(not_before, "--not-before") if not_before else None,
        expires_at=_deadline(expires),
        timeout=seconds(run_timeout),
    )
    limits = OrderLimits(payload_characters=place.settings.limits.payload_characters)
    refusal = why_refused(order, limits)
    if refusal is not None:
        raise UsageError(refusal.rstrip("."))
    enqueued, problem = run(lambda: _hand_in(place, order, after or ()))
    if is_waiting:
        warn(f"galaxy: accepted as {enqueued.order_id}.")
        run(lambda: say_if_nobody_works(place))
        return wait_and_print(place, enqueued.order_id, timeout=timeout, is_json=is_json)
    if is_json:
        print_json(
            {
                "order_id": enqueued.order_id,
                "is_new": enqueued.is_new,
                "machine": place.machine.name,
                "repo_path": str(place.machine.repo_path),
                "warning": problem,
            }
        )
    else:
        write(enqueued.order_id)
    if problem is not None:
        warn(f"galaxy: the order is accepted, but {problem}.")
    return ExitCode.OK


async def _hand_in(place: Place, order: Order, after: Sequence[str]) -> tuple[Enqueued, str | None]:
    from attrs import evolve

    if after:
        catalogue = place.catalogue()
        # A misspelt id would have the order wait for ever.
        found = [await find_order(catalogue, each) for each in after]
        order = evolve(order, after=tuple(view.order.id for view in found))
    return await place.queue().enqueue(order), await hermes_problem(place)


def _order_id(wanted: str | None) -> OrderId:
    if wanted is None:
        import secrets

        return OrderId(f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")
    problem = why_not_an_order_id(wanted)
    if problem is not None:
        raise UsageError(f"--id: {wanted!r} cannot be an order's id: {problem}")
    return OrderId(wanted)


def _payload(text: str | None) -> str:
    if text not in (None, "-"):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError("the text is not UTF-8") from None
        return text
    if sys.stdin is None or (text is None and is_terminal(sys.stdin)):
        raise UsageError('what is to be done? Write `galaxy order submit "..."`, or pipe it in')
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8 text; send it with --file") from None


def _attachment(path: Path) -> Attachment:
    if not path.is_file():
        raise UsageError(f"--file: there is no file {path}")
    import mimetypes

    mime, _ = mimetypes.guess_type(path.name)
    return Attachment(path=str(path.resolve()), name=path.name, mime=mime)


def _project(place: Place, name: str | None) -> str | None:
    projects = place.settings.projects
    if name is not None and projects and name not in projects:
        from galaxy_apps.settings import nearest

        raise UsageError(f"--project: there is no project {name!r}{nearest(name, projects)}")
    return name


def _deadline(expires: str | None) -> datetime | None:
    if expires is None:
        return None
    moment = read_moment(expires, "--expires")
    if moment <= datetime.now(UTC):
        raise UsageError("--expires: that time has passed")
    return moment
