"""The books after the storm: nothing lost, nothing run twice, nothing unanswered."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from attrs import define, field

from galaxy_core.testing.bot_api.seen import Seen
from tests.chaos.people import MARK, Crowd, Told
from tests.chaos.scene import Scene

REPEAT = "may be a repeat"
TWICE = "may have run twice"
DRAINED_FOR_S = 1.0


@define
class Books:
    """What the balance says; every list holds what is wrong."""

    lost: list[str] = field(factory=list)
    run_twice: list[str] = field(factory=list)
    unanswered: list[str] = field(factory=list)
    unmarked_copies: list[str] = field(factory=list)
    trail: list[str] = field(factory=list)
    """What `galaxy audit verify` says."""
    facts: dict[str, int] = field(factory=dict)

    @property
    def is_balanced(self) -> bool:
        """Whether nothing is wrong."""
        return not any(
            (self.lost, self.run_twice, self.unanswered, self.unmarked_copies, self.trail)
        )

    def lines(self) -> list[str]:
        """For people."""
        shown = []
        for name, wrong in (
            ("lost", self.lost),
            ("run twice", self.run_twice),
            ("unanswered", self.unanswered),
            ("copies without a mark", self.unmarked_copies),
            ("faults in the trail", self.trail),
        ):
            shown.append(f"{name}: {len(wrong)}")
            shown += [f"  {text}" for text in wrong[:20]]
        shown += [f"{name}: {number}" for name, number in self.facts.items()]
        return shown


def drained(scene: Scene, crowd: Crowd, seconds: float) -> float | None:
    """Wait until nothing is under way any more; how long that took, None if it did not come."""
    begun = time.monotonic()
    quiet_since: float | None = None
    while time.monotonic() - begun < seconds:
        if not _is_quiet(scene, crowd):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > DRAINED_FOR_S:
            return quiet_since - begun
        time.sleep(0.2)
    return None


def _is_quiet(scene: Scene, crowd: Crowd) -> bool:
    layout = scene.layout
    if any(layout.outbox.glob("*.json")) or any(layout.orders.glob("*.json*")):
        return False
    if scene.telegram.do("pending"):
        return False
    return sum(1 for _ in layout.archive.glob("*.json")) >= len(crowd.told)


def balance(scene: Scene, crowd: Crowd) -> Books:
    """Compare what people said with the archive, the model, the chats and the trail."""
    books = Books()
    orders = _archived(scene)
    _every_order_is_there_once(crowd, orders, books)
    _the_model_saw_each_once(scene, crowd, orders, books)
    _every_order_is_answered(scene, crowd, orders, books)
    _the_trail_is_whole(scene, books)
    books.facts["orders"] = len(crowd.told)
    ends = Counter(str(order.get("outcome")) for each in orders.values() for order in each)
    books.facts |= {f"orders {end}": number for end, number in sorted(ends.items())}
    books.facts["torn files left"] = len(crowd.torn)
    books.facts["files set aside"] = sum(1 for _ in scene.layout.corrupted.glob("*.json"))
    return books


def _archived(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    """Orders that ended, by their mark."""
    found = defaultdict(list)
    for path in scene.layout.archive.glob("*.json"):
        order = {"order_id": path.stem, **json.loads(path.read_bytes())}
        for mark in set(MARK.findall(str(order.get("payload", "")))):
            found[mark].append(order)
    return found


def _every_order_is_there_once(
    crowd: Crowd, orders: dict[str, list[dict[str, Any]]], books: Books
) -> None:
    for mark in crowd.told:
        count = len(orders.get(mark, ()))
        if count == 0:
            books.lost.append(f"{mark} is not in the archive")
        elif count > 1:
            names = ", ".join(str(order.get("order_id")) for order in orders[mark])
            books.run_twice.append(f"{mark} became {count} orders: {names}")


def _the_model_saw_each_once(
    scene: Scene, crowd: Crowd, orders: dict[str, list[dict[str, Any]]], books: Books
) -> None:
    if not scene.has_agent:
        return
    path = scene.folder / "deeds.txt"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    deeds = Counter(MARK.findall(text))
    never = 0
    resumed = {
        line.get("order_id")
        for line in _trail(scene)
        if line.get("event_type") == "order_execution_resumed"
    }
    for mark, told in crowd.told.items():
        count = scene.model.count(told.prompt)
        if count > 1 or deeds[mark] > 1:
            books.run_twice.append(f"{mark}: the model began {count} times, deeds {deeds[mark]}")
        if count == 0:
            never += 1
            if not all(_is_resumed(order, resumed) for order in orders.get(mark, ())):
                books.lost.append(f"{mark}: the model never saw it, and it was not gone on with")
    books.facts["broken off before the model was asked, then gone on with"] = never


def _is_resumed(order: dict[str, Any], resumed: set[object]) -> bool:
    """Whether the agent was told to go on, or it was said that the order failed."""
    return order.get("outcome") != "succeeded" or order.get("order_id") in resumed


def _every_order_is_answered(
    scene: Scene, crowd: Crowd, orders: dict[str, list[dict[str, Any]]], books: Books
) -> None:
    """Each order has its answer in the chat it came from, and more only with a mark."""
    chats: dict[tuple[int, int], list[Seen]] = defaultdict(list)
    by_mark: dict[str, list[Seen]] = defaultdict(list)
    for seen in scene.telegram.sent():
        chats[seen.chat_id, seen.message_id].append(seen)
        # An alert names the file of an order, which is no answer to it.
        for mark in set(MARK.findall(seen.text.replace(".json", ""))):
            by_mark[mark].append(seen)
    receipts = _receipts(scene)
    repeats = 0
    for mark, told in crowd.told.items():
        for order in orders.get(mark, ()):
            order_id = str(order.get("order_id"))
            response = scene.layout.response(order_id)
            if not response.exists():
                books.unanswered.append(f"{mark} has no response")
            elif others := _others_marks(response, mark):
                books.lost.append(f"{mark} was given the answer of {', '.join(sorted(others))}")
            is_read = any(chats.get(place) for place in receipts.get(order_id, []))
            if not is_read and not by_mark.get(mark):
                books.unanswered.append(f"{mark} has no answer in a chat")
        repeats += _copies(told, by_mark.get(mark, []), books)
    books.facts["answers repeated, marked"] = repeats


def _others_marks(response: Path, mark: str) -> set[str]:
    """Marks of other orders in what the agent said to this one."""
    _, _, said = response.read_text(encoding="utf-8").partition("## Response")
    return set(MARK.findall(said)) - {mark}


def _copies(told: Told, seen: list[Seen], books: Books) -> int:
    """Check the copies of one answer in one chat; gives how many there are beyond the first."""
    here = [each for each in seen if told.person_id in {None, each.chat_id}]
    plain = Counter(each.chat_id for each in here if REPEAT not in each.text)
    if any(count > 1 for count in plain.values()):
        texts = [each.text[:60] for each in here]
        books.unmarked_copies.append(f"{told.mark}: {texts}")
    if any(TWICE in each.text for each in here):
        books.run_twice.append(f"{told.mark}: its answer says that it may have run twice")
    return sum(count - 1 for count in Counter(each.chat_id for each in here).values())


def _receipts(scene: Scene) -> dict[str, list[tuple[int, int]]]:
    """Chat and message of every delivered answer, by order."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line in _trail(scene):
        if line.get("event_type") == "letter_delivered" and line.get("order_id"):
            for receipt in line.get("receipts", ()):
                chat = int(receipt["chat_id"])
                found[str(line["order_id"])] += [(chat, int(n)) for n in receipt["message_ids"]]
    return found


def _trail(scene: Scene) -> list[dict[str, Any]]:
    """Every line of the trail, of all its parts."""
    log = scene.layout.audit_log
    lines: list[str] = []
    for part in sorted(log.parent.glob(f"{log.stem}*{log.suffix}")):
        lines += part.read_text(encoding="utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def _the_trail_is_whole(scene: Scene, books: Books) -> None:
    asked = scene.galaxy("audit", "verify", "--json")
    try:
        document = json.loads(asked.stdout)
    except ValueError:
        books.trail.append(f"verify said nothing: {asked.stderr[-300:]}")
        return
    books.trail += [str(fault) for fault in document["faults"]]
    proof = document["completeness"]
    books.trail += [gap["sentence"] for gap in proof["gaps"]]
    # After three sendings whose outcome was hidden; whether the answer is in the chat nevertheless
    # was looked at above.
    books.facts["letters set aside"] = proof["undeliverable_letters"]["count"]
    for name in ("waiting_orders", "waiting_letters"):
        if proof[name]["count"]:
            books.trail.append(f"{name}: {proof[name]['count']} {proof[name]['order_ids'][:5]}")
    if asked.returncode != 0 and not books.trail:
        books.trail.append(f"verify ended with {asked.returncode}: {asked.stderr[-300:]}")
    books.facts["lines of the trail"] = document["lines"]
    books.facts["messages looked for in the trail"] = proof["messages"]
