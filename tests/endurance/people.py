"""People who work all day: orders, files, questions, slips, second thoughts; seeded."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections import Counter

from attrs import define, field

from galaxy_core.testing.bot_api.process import Remote
from tests.endurance.scene import Scene

NEW_EVERY = 25
"""Orders of a person after which it begins a new conversation: the agent's sessions have an end."""
LOOK_EVERY_S = 0.5
_SPARE_WORDS = "lorem ipsum dolor sit amet " * 20


@define(eq=False)
class Crowd:
    """Gives orders, and answers what it is asked."""

    scene: Scene
    chance: random.Random
    orders: int = field(default=0, init=False)
    kinds: Counter[str] = field(factory=Counter, init=False)
    _asked: set[tuple[int, int]] = field(factory=set, init=False)
    """Questions that were answered, by chat and message."""
    _waiting: Counter[int] = field(factory=Counter, init=False)
    """Questions that somebody expects, by chat."""

    def give(self) -> None:
        """Give one order."""
        mark = f"order-{self.orders:05}."
        self.orders += 1
        person = self.chance.choice(self.scene.people)
        dice = self.chance.random()
        if self.orders % (NEW_EVERY * len(self.scene.people)) == 0:
            for each in self.scene.people:
                each.do("writes", text="/new")
        if dice < 0.1:
            self._drop(mark)
        elif dice < 0.16:
            self.kinds["with a file"] += 1
            content = (mark + _SPARE_WORDS).encode()
            person.do("sends_document", name="note.txt", content=_wired(content), caption=mark)
        else:
            kind, text = self._wish(mark, dice, person)
            self.kinds[kind] += 1
            if kind == "question":
                self._waiting[person.id or 0] += 1
            person.do("writes", text=text)

    def _wish(self, mark: str, dice: float, person: Remote) -> tuple[str, str]:
        if dice < 0.20:
            return "question", f"ASK Now? {mark} | Yes | No\nSAY {mark} is done"
        if dice < 0.24:
            return "failure", f"FAIL 400 refused\nSAY {mark} is done"
        if dice < 0.30:
            link = self.scene.layout.outgoing_link(f"telegram:{person.id}")
            return "file back", f"WRITE {link}/report.txt: {mark}\nSAY {mark} is done"
        if dice < 0.36:
            return "tool", f"CALL bash: echo {mark}\nSAY {mark} is done"
        if dice < 0.40:
            return "long answer", f"SAY {mark}\nLONG 1500"
        return "word", f"SAY {mark} is done"

    def _drop(self, mark: str) -> None:
        """Write a file, as programs do."""
        self.kinds["dropped file"] += 1
        content = {
            "type": "galaxy_order",
            "from": "endurance",
            "target": "lab",
            "command": "general",
            "payload": f"SAY {mark} is done",
            # A third of them name a conversation that nobody goes on with.
            "session": self.chance.choice((f"once-{mark}", "files-1", "files-2")),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "acknowledged": False,
        }
        folder = self.scene.layout.orders
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{mark}tmp"
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.rename(folder / f"{mark.rstrip('.')}.json")

    # ---- being asked

    def answer_until(self, over: threading.Event) -> None:
        """Press a button under each question that comes."""
        while not over.wait(LOOK_EVERY_S):
            for person in self.scene.people:
                if self._waiting[person.id or 0]:
                    self._answer(person)

    def _answer(self, person: Remote) -> None:
        chat = person.id or 0
        for seen in self.scene.telegram.sent(chat):
            place = chat, seen.message_id
            labels = {button.text for row in seen.buttons for button in row}
            if place not in self._asked and {"Yes", "No"} <= labels:
                self._asked.add(place)
                self._waiting[chat] -= 1
                person.do("presses", message=seen.message_id, button="Yes")


def _wired(content: bytes) -> object:
    return {"base64": base64.b64encode(content).decode()}
