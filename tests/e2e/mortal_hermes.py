"""A real Hermes process that kills itself with SIGKILL at a place given on the command line.

    python mortal_hermes.py PLACE --config FILE

PLACE is `port.method:before` or `port.method:after` (`responses.commit:after`), or
`dispatcher.event:NAME` for the moment an event of that type comes out of the dispatcher.
"""

from __future__ import annotations

import argparse
import inspect
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
from attrs import evolve

from galaxy_apps.settings import load
from galaxy_apps.wiring import Place
from galaxy_apps.wiring_hermes import build_hermes
from galaxy_core.services.hermes import Hermes

PORTS = ("queue", "responses", "outbox", "journal", "sessions", "audit", "dispatcher")


def die() -> None:
    """No exit handler, no flush, no goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A port whose calls may be the last thing this process does."""

    def __init__(self, name: str, port: Any, place: str) -> None:  # noqa: ANN401 - any port
        self._name, self._port, self._place = name, port, place

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401 - any port's method
        found = getattr(self._port, method)
        if self._name == "dispatcher" and method == "run":
            return self._watched(found)
        if not inspect.iscoroutinefunction(found):
            return found
        here = f"{self._name}.{method}"

        async def call(*args: object, **kwargs: object) -> object:
            if self._place == f"{here}:before":
                die()
            result = await found(*args, **kwargs)
            if self._place == f"{here}:after":
                die()
            return result

        return call

    def _watched(self, run: Callable[..., AsyncGenerator[Any, None]]) -> Any:  # noqa: ANN401
        async def events(*args: object) -> AsyncGenerator[Any, None]:
            async with aclosing(run(*args)) as source:
                async for event in source:
                    if self._place == f"dispatcher.event:{type(event).__name__}":
                        die()
                    yield event

        return events


def made_mortal(hermes: Hermes, place: str) -> Hermes:
    """The same Hermes, with its death built in."""
    ports = hermes._ports
    changed = {name: Mortal(name, getattr(ports, name), place) for name in PORTS}
    return Hermes(evolve(ports, **changed), hermes._config, "test", os.getpid())


async def main() -> None:
    """Run until the place is reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("place")
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args()
    configuration = load(options.config)
    place = Place(configuration.settings, configuration.machine(None))
    async with build_hermes(place) as hermes:
        mortal = made_mortal(hermes, options.place)
        place.incidents.hand_on_to(mortal)
        await mortal.run()


if __name__ == "__main__":
    anyio.run(main)
