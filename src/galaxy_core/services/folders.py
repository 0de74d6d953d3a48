"""Machines by the folder they work in: several may share one, and then share its orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from attrs import define, frozen

from galaxy_core.domain.errors import MachineNotFound, OrderNotFound
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.order import Order
from galaxy_core.services.gateway.config import MachinePorts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(eq=False)
class Folder:
    """One folder, and the machines that work off its orders."""

    machines: tuple[MachinePorts, ...]
    """Never empty."""

    @property
    def first(self) -> MachinePorts:
        """Through whose ports the folder is looked at."""
        return self.machines[0]

    def owner_of(self, order: Order) -> MachinePorts:
        """The machine that an order here is for; the first one where none is asked for."""
        return next(
            (m for m in self.machines if order.target and order.is_for(m.names)), self.first
        )


@define(eq=False)
class Folders:
    """All machines served here."""

    _machines: Mapping[str, MachinePorts]
    """The default one first; never empty."""

    @property
    def all(self) -> tuple[Folder, ...]:
        """Every folder once, in the order of the machines."""
        grouped: dict[str, list[MachinePorts]] = {}
        for machine in self._machines.values():
            grouped.setdefault(str(machine.layout.repo_path), []).append(machine)
        return tuple(Folder(tuple(machines)) for machines in grouped.values())

    @property
    def machines(self) -> tuple[MachinePorts, ...]:
        """Every machine, the default one first."""
        return tuple(self._machines.values())

    def machine(self, name: str | None) -> MachinePorts:
        """The machine that is called so, or the default one.  Raises `MachineNotFound`."""
        if name is None:
            return self.machines[0]
        wanted = name.casefold()
        for machine in self.machines:
            if wanted in machine.names:
                return machine
        known = ", ".join(each.name for each in self.machines)
        raise MachineNotFound(f"No machine {name!r} is served here; there is: {known}.")

    async def find(self, order_id: OrderId) -> tuple[MachinePorts, OrderView]:
        """An order and the machine it is for.  Raises `OrderNotFound`."""
        folders = self.all
        found = await find_among([folder.first for folder in folders], order_id)
        if found is None:
            raise OrderNotFound(f"There is no order {order_id!r}.")
        first, view = found
        folder = next(folder for folder in folders if folder.first is first)
        return folder.owner_of(view.order), view


async def find_among(
    machines: Iterable[MachinePorts], order_id: OrderId
) -> tuple[MachinePorts, OrderView] | None:
    """An order, and the first of the machines that lists it.

    No folder is searched through for an order that another one knows by its id.
    """
    places = list(machines)
    for only_enqueued in (True, False):
        for place in places:
            view = await place.catalogue.get(order_id, only_enqueued=only_enqueued)
            if view is not None:
                return place, view
    return None


def age_key(view: OrderView) -> datetime:
    """What lists of orders are sorted by: the end, or the arrival before there is one."""
    if view.ending is not None:
        return view.ending.finished_at
    return view.received_at or view.order.timestamp or _EPOCH
