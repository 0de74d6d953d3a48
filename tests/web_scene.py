"""What a dashboard shows on a busy day, on a quiet one, and when things go wrong."""

from __future__ import annotations

import random
from datetime import timedelta

from attrs import evolve

from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.insight import Finding, Level, MachineInsight, Slot
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.order import JSONValue, Priority
from galaxy_core.domain.response import Outcome, Usage
from galaxy_core.domain.run import PermissionRequested, Todo
from galaxy_core.domain.state import OrderState
from galaxy_core.testing.factories import (
    make_ending,
    make_event,
    make_heartbeat,
    make_order,
    make_response,
    make_session,
)
from tests.web_doubles import World

ANSWER = """The **login page** failed because the session cookie lacked `SameSite`.

1. Added the attribute in `auth/session.py`
2. Added a test that posts from another origin

```python
def set_session(response: Response, token: str) -> None:
    response.set_cookie("session", token, httponly=True, samesite="lax")
```

| Check | Before | After |
|---|---|---|
| login | 403 | 200 |
| foreign post | 200 | 403 |
"""


def idle_world() -> World:
    """Nothing was ever asked for."""
    return World()


def busy_world() -> World:
    """Two machines with their hands full."""
    world = World(is_gateway_up=True)
    now = world.now
    world.machines = {
        "laptop": MachineInsight(
            name="laptop",
            level=Level.WELL,
            heartbeat=make_heartbeat(
                machine="laptop",
                started_at=now - timedelta(days=2, hours=5),
                last_heartbeat_at=now - timedelta(seconds=3),
                version="0.1.0",
                dispatcher="opencode",
            ),
            counts={
                OrderState.PENDING: 5,
                OrderState.RUNNING: 2,
                OrderState.SUCCEEDED: 1_284,
                OrderState.FAILED: 17,
                OrderState.DEAD: 2,
            },
            oldest_waiting=timedelta(minutes=4),
            outbox=1,
            disk_free_bytes=212_000_000_000,
            disk_total_bytes=500_000_000_000,
        ),
        "build-server": MachineInsight(
            name="build-server",
            level=Level.DOUBTFUL,
            heartbeat=make_heartbeat(
                machine="build-server",
                started_at=now - timedelta(hours=7),
                last_heartbeat_at=now - timedelta(seconds=1),
                version="0.1.0",
                dispatcher="opencode",
            ),
            counts={OrderState.RUNNING: 1, OrderState.SUCCEEDED: 340, OrderState.CANCELLED: 3},
            undeliverable=1,
            disk_free_bytes=9_000_000_000,
            disk_total_bytes=120_000_000_000,
        ),
    }
    world.level = Level.DOUBTFUL
    world.findings = (
        Finding(
            level=Level.DOUBTFUL,
            what="1 letter of build-server reached nobody.",
            remedy="Look into `galaxy-outbox-undeliverable`: each letter has its reason beside it.",
            machine="build-server",
        ),
    )
    _ended(world)
    _live(world)
    _records(world)
    return world


def unwell_world() -> World:
    """Hermes is gone, the disk is full, orders fail."""
    world = busy_world()
    laptop = world.machines["laptop"]
    assert laptop.heartbeat is not None
    world.machines["laptop"] = evolve(
        laptop,
        level=Level.UNWELL,
        heartbeat=evolve(laptop.heartbeat, last_heartbeat_at=world.now - timedelta(minutes=14)),
        disk_free_bytes=80_000_000,
    )
    world.level = Level.UNWELL
    world.is_gateway_up = False
    world.findings = (
        Finding(
            level=Level.UNWELL,
            what="Hermes on laptop gives no sign of life for 14 min; 7 orders wait.",
            remedy="Look at its log, or start it with `galaxy-hermes`.",
            machine="laptop",
        ),
        Finding(
            level=Level.UNWELL,
            what="The disk of laptop has 80 MB left.",
            remedy="Free some: without room orders are neither taken nor answered.",
            machine="laptop",
        ),
        Finding(
            level=Level.DOUBTFUL,
            what="6 of 11 orders of the last hour failed.",
            remedy="Open the newest of them: its page says why.",
        ),
        *world.findings,
    )
    return world


def _ended(world: World) -> None:
    dice = random.Random(4)  # always the same day
    now = world.now
    for number in range(48):
        begins = now - timedelta(minutes=30 * (48 - number)) + timedelta(minutes=29)
        work = 9 if 14 < number < 40 else 1
        good = dice.randint(0, work)
        ended = {Outcome.SUCCEEDED: good, Outcome.FAILED: int(dice.random() < 0.15 * work / 9)}
        ended[Outcome.CANCELLED] = int(dice.random() < 0.05)
        if sum(ended.values()):
            half = dice.uniform(5, 60)
            tokens = good * dice.randint(2_000, 30_000)
            world.pieces.append(
                Slot(
                    begins=begins,
                    ended={outcome: n for outcome, n in ended.items() if n},
                    run_seconds_p50=half,
                    run_seconds_p95=half * dice.uniform(1.2, 5),
                    tokens=tokens,
                    cost_usd=tokens * 4e-6,
                )
            )
    for number, (text, outcome, reason) in enumerate(
        [
            ("Update the changelog for 2.3", Outcome.SUCCEEDED, None),
            ("Why does the nightly build take 40 minutes?", Outcome.SUCCEEDED, None),
            (
                "Deploy the preview to staging",
                Outcome.DEAD,
                "The model's provider answered 529 (overloaded) at each of 5 attempts.",
            ),
            ("Translate the docs into Hebrew: שלום עולם", Outcome.CANCELLED, "Cancelled by anna."),
            (
                "Rename the table users",
                Outcome.FAILED,
                "The agent stopped: it may not write to db/migrations.",
            ),
            (
                "Fix the login page: people are thrown out after each post\n\nSee #412.",
                Outcome.SUCCEEDED,
                None,
            ),
        ]
    ):
        finished = now - timedelta(minutes=70 - 11 * number)
        world.put(
            make_order(
                id=f"20260202-11{number}0-telegram-4be1c0{number}",
                payload=text,
                timestamp=finished - timedelta(seconds=97),
                sender="anna",
                session=None,
                channel="telegram",
                chat_id="4711",
            ),
            OrderState(outcome.value),
            machine="laptop",
            attempts=5 if outcome is Outcome.DEAD else 1,
            received_at=finished - timedelta(seconds=95),
            ending=make_ending(
                outcome=outcome,
                finished_at=finished,
                started_at=finished - timedelta(seconds=83),
                attempts=5 if outcome is Outcome.DEAD else 1,
                session_id="ses_4f1b22",
                reason=reason,
                usage=Usage(input_tokens=12_000, output_tokens=900, cost_usd=0.0421),
            ),
            response=make_response(text=ANSWER) if outcome is Outcome.SUCCEEDED else None,
        )


def _live(world: World) -> None:
    now = world.now
    running = make_order(
        id="run-1",
        payload="Find out why the tests are slow and make them twice as fast",
        sender="anna",
        session="telegram:4711",
    )
    world.put(running, OrderState.RUNNING, machine="laptop", attempts=1)
    world.progress["run-1"] = Progress(
        order_id=running.id,
        started_at=now - timedelta(minutes=3, seconds=12),
        text="The slowest part is the fixture that starts a database for every test. I will share"
        " one per session and roll back after each test. First I measure where the time goes:",
        tool="pytest --durations=20 tests/unit",
        todos=(
            Todo(content="Measure", status="completed"),
            Todo(content="Share the database fixture", status="in_progress"),
            Todo(content="Run everything twice", status="pending"),
        ),
        steps=7,
        usage=Usage(input_tokens=40_211, output_tokens=3_100, cost_usd=0.1712),
    )
    asking = make_order(
        id="run-2", payload="Clean the build folder", sender="ben", session="web:ben"
    )
    world.put(asking, OrderState.RUNNING, machine="laptop", attempts=2)
    world.progress["run-2"] = Progress(
        order_id=asking.id,
        started_at=now - timedelta(seconds=41),
        steps=1,
        waiting_for=(
            PermissionRequested(
                request_id=RequestId("per_1"),
                permission="bash",
                title="rm -rf build/",
                patterns=("rm *",),
            ),
        ),
    )
    third = make_order(id="run-3", payload="Nightly benchmark", session="machine:build-server")
    world.put(third, OrderState.RUNNING, machine="build-server", attempts=1)
    for number, text in enumerate(
        ["Then write down what you did", "And tell Ben", "Open a pull request"]
    ):
        world.put(
            make_order(id=f"wait-{number}", payload=text, session="telegram:4711"),
            machine="laptop",
            place=number + 1,
            received_at=now - timedelta(minutes=4 - number),
        )
    world.put(
        make_order(
            id="wait-u", payload="Is the site down?", session="web:ben", priority=Priority.URGENT
        ),
        machine="laptop",
        place=1,
        received_at=now - timedelta(seconds=20),
    )
    world.put(
        make_order(id="wait-t", payload="Send the weekly report", session="schedule:report"),
        machine="laptop",
        waits_until=now + timedelta(hours=2),
        received_at=now - timedelta(hours=1),
    )


def _records(world: World) -> None:
    now = world.now
    order_id = "20260202-1150-telegram-4be1c05"
    begin = now - timedelta(minutes=16, seconds=36)
    story: list[tuple[float, str, dict[str, JSONValue]]] = [
        (0.0, "order_submitted", {"channel": "telegram", "sender": "anna"}),
        (0.2, "order_received", {"digest": "9c1185a5c5e9fc54"}),
        (0.9, "order_claimed", {"attempt": 1, "worker": "laptop/4711"}),
        (1.1, "order_execution_started", {"session_id": "ses_4f1b22", "agent": "build"}),
        (31.0, "permission_requested", {"permission": "edit", "patterns": ["auth/**"]}),
        (52.4, "request_answered", {"by": "anna", "choice": "once"}),
        (52.5, "request_resolved", {"how": "once"}),
        (60.0, "order_taken_over", {"from": "laptop/4711"}),
        (61.0, "order_claimed", {"attempt": 2, "worker": "laptop/5012"}),
        (61.2, "order_execution_resumed", {"session_id": "ses_4f1b22"}),
        (95.0, "order_executed_success", {"tokens": 12_900, "cost_usd": 0.0421}),
        (96.3, "letter_delivered", {"channel": "telegram", "chat_id": "4711"}),
    ]
    for seconds, kind, data in story:
        at = begin + timedelta(seconds=seconds)
        world.events.append(
            (
                "laptop",
                make_event(
                    event_type=kind, order_id=order_id, timestamp=at, machine="laptop", data=data
                ),
            )
        )
    for minutes, kind, message, severity in [
        (120, "channel_unreachable", "Telegram does not answer: Bad Gateway", AuditSeverity.ERROR),
        (12, "order_dead_lettered", "", AuditSeverity.ERROR),
        (5, "order_quarantined", "half.json cannot be read", AuditSeverity.CRITICAL),
    ]:
        world.events.append(
            (
                "laptop",
                make_event(
                    event_type=kind,
                    severity=severity,
                    timestamp=now - timedelta(minutes=minutes),
                    machine="laptop",
                    data={"message": message} if message else {},
                ),
            )
        )
    world.files[order_id] = ("auth/session.py", "tests/test_session.py")
    world.threads = [
        (
            "laptop",
            make_session(
                conversation="telegram:4711",
                model="anthropic/claude-sonnet-4-5",
                updated_at=now - timedelta(minutes=1),
            ),
        ),
        (
            "laptop",
            make_session(conversation="web:ben", agent="plan", updated_at=now - timedelta(hours=3)),
        ),
    ]
    world.log = [
        "[2026-02-02 11:55:00] === Galaxy Protocol Health Check ===",
        "[2026-02-02 11:55:00] ✓ Hermes on laptop gives signs of life",
        "[2026-02-02 11:55:01] ✓ Disk space OK (58% used)",
        "[2026-02-02 11:55:01] === Health Check PASSED ===",
    ]
