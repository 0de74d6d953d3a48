"""People who give orders through the storm, in chats and by files, whether or not anybody reads."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from tests.chaos.scene import Scene

MARK = re.compile(r"order-\d{5}\.")
TORN_FOR_S = 0.4


@frozen
class Told:
    """One order that was given."""

    mark: str
    prompt: str
    person_id: int | None = None
    """Who gave it in a chat; None: it was dropped as a file."""
    message_id: int | None = None
    has_deed: bool = False
    """Whether the agent leaves a line in `deeds.txt`."""


@define(eq=False)
class Crowd:
    """Gives orders, seeded."""

    scene: Scene
    chance: random.Random
    told: dict[str, Told] = field(factory=dict, init=False)
    torn: list[str] = field(factory=list, init=False)
    """Files that were never written to their end."""

    def give(self, wait: Callable[[float], object]) -> None:
        """Give one order; `wait` is where a slow writer waits."""
        mark = f"order-{len(self.told):05}."
        prompt, has_deed = self._wish(mark)
        if self.chance.random() < 0.15:
            self.told[mark] = Told(mark, prompt, has_deed=has_deed)
            self._drop(mark, prompt, wait)
            return
        person = self.chance.choice(self.scene.people)
        message = person.do("writes", text=prompt)
        self.told[mark] = Told(mark, prompt, person.id, int(message["message_id"]), has_deed)

    def _wish(self, mark: str) -> tuple[str, bool]:
        dice = self.chance.random()
        if dice < 0.2 and self.scene.has_agent:
            deed = f"CALL bash: echo {mark} >> deeds.txt\nSLEEP 0.2\nSAY {mark} is done"
            return deed, True
        if dice < 0.5:
            return f"SLEEP {self.chance.choice((0.2, 0.5, 1))}\nSAY {mark} is done", False
        return f"SAY {mark} is done", False

    def _drop(self, mark: str, prompt: str, wait: Callable[[float], object]) -> None:
        """Write a file under its final name as `cat` does, at times with a pause in the middle."""
        content = {
            "type": "galaxy_order",
            "from": "chaos",
            "target": "lab",
            "command": "general",
            "payload": prompt,
            "session": f"files-{self.chance.randrange(3)}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "acknowledged": False,
        }
        text = json.dumps(content)
        path = self._orders() / f"{mark.rstrip('.')}.json"
        has_pause = self.chance.random() < 0.3
        # A disk that is full is the writer's affair: it does as people do, and writes anew.
        while True:
            try:
                with path.open("w", encoding="utf-8") as file:
                    file.write(text[: len(text) // 2])
                    file.flush()
                    if has_pause:
                        wait(TORN_FOR_S)
                    file.write(text[len(text) // 2 :])
                return
            except OSError:
                wait(0.3)

    def tear(self) -> None:
        """Leave a file that was never written to its end."""
        name = f"torn-{len(self.torn):04}.json"
        try:
            (self._orders() / name).write_text('{"type": "galaxy_order", "payl', encoding="utf-8")
        except OSError:
            return  # the disk is full: then not even that
        self.torn.append(name)

    def _orders(self) -> Path:
        self.scene.layout.orders.mkdir(parents=True, exist_ok=True)
        return self.scene.layout.orders
