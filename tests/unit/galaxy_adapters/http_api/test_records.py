"""The API's operations on all that is no order."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from attrs import evolve

from galaxy_adapters.http_api import routes
from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.insight import Finding, Histogram, Level, MachineInsight
from galaxy_core.domain.state import OrderState
from galaxy_core.testing.clock import START
from galaxy_core.testing.factories import make_event, make_heartbeat, make_session
from tests.web_doubles import World, browser


@pytest.fixture
def world() -> World:
    """What the API shows."""
    return World()


@pytest.fixture
def api(world: World) -> httpx.AsyncClient:
    """A program that asks it."""
    return browser(routes(world, world, world, version="1.2.3", now=lambda: world.now))


def _machine(**overrides: object) -> MachineInsight:
    machine = MachineInsight(
        name="test",
        level=Level.WELL,
        heartbeat=make_heartbeat(started_at=START - timedelta(days=1, hours=2, minutes=3)),
        counts={
            OrderState.PENDING: 2,
            OrderState.CLAIMED: 1,
            OrderState.RUNNING: 1,
            OrderState.SUCCEEDED: 100_000,
            OrderState.FAILED: 3,
            OrderState.EXPIRED: 1,
            OrderState.DEAD: 2,
            OrderState.CANCELLED: 5,
        },
        outbox=7,
        disk_free_bytes=74,
        disk_total_bytes=100,
    )
    return evolve(machine, **overrides)  # type: ignore[arg-type]  # tests name its members


# ---- status


async def test_status_has_the_old_names_and_true_values(
    world: World, api: httpx.AsyncClient
) -> None:
    """Scripts written for the original go on, and are told the truth from now on."""
    world.machines = {"test": _machine()}
    response = await api.get("/api/status")
    assert response.status_code == 200
    assert response.json() == {
        "pending": 4,
        "processed": 100_011,
        "failed": 6,
        "uptime_human": "1d 2h 3m",
        "opencode_healthy": True,
        "galaxy_mcp_running": False,
        "disk_usage": "26%",
        "outbox_count": 7,
        "machine": "test",
        "timestamp": "12:00:00",
    }


@pytest.mark.parametrize(
    "beat",
    [
        None,
        make_heartbeat(status="stopped"),
        make_heartbeat(last_heartbeat_at=START - timedelta(minutes=3)),
    ],
)
async def test_status_of_a_machine_that_does_not_work(
    world: World, api: httpx.AsyncClient, beat: object
) -> None:
    """No heartbeat, an old one, or a stopped daemon: it is not healthy and has no uptime."""
    world.machines = {"test": _machine(heartbeat=beat, disk_total_bytes=0)}
    content = (await api.get("/api/status")).json()
    assert content["opencode_healthy"] is False
    assert (content["uptime_human"], content["disk_usage"]) == ("N/A", "N/A")


@pytest.mark.parametrize("answers", [True, None, False])
async def test_status_says_whether_the_agent_answers(
    world: World, api: httpx.AsyncClient, *, answers: bool | None
) -> None:
    """A Hermes that lives is not enough; an agent that nobody has needed so far is no trouble."""
    world.machines = {"test": _machine(heartbeat=make_heartbeat(agent_answers=answers))}
    content = (await api.get("/api/status")).json()
    assert content["opencode_healthy"] is (answers is not False)


async def test_draining_hermes_is_up_but_takes_nothing(
    world: World, api: httpx.AsyncClient
) -> None:
    """One that stops still runs, but no order reaches the agent any more."""
    beat = make_heartbeat(status="draining", started_at=START - timedelta(minutes=5))
    world.machines = {"test": _machine(heartbeat=beat)}
    content = (await api.get("/api/status")).json()
    assert (content["uptime_human"], content["opencode_healthy"]) == ("5m", False)


async def test_status_of_another_machine(world: World, api: httpx.AsyncClient) -> None:
    """`machine` chooses; one that is not served here is not found."""
    world.machines = {"one": _machine(name="one"), "two": _machine(name="two")}
    assert (await api.get("/api/status")).json()["machine"] == "one"
    assert (await api.get("/api/status?machine=two")).json()["machine"] == "two"
    assert (await api.get("/api/status?machine=three")).status_code == 404


# ---- the whole


async def test_overview_says_what_to_do(world: World, api: httpx.AsyncClient) -> None:
    """Findings come with their remedies, machines with all their states."""
    world.level = Level.UNWELL
    world.findings = (
        Finding(level=Level.UNWELL, what="Hermes sleeps.", remedy="Wake it.", machine="test"),
    )
    world.machines = {"test": _machine(oldest_waiting=timedelta(minutes=2))}
    content = (await api.get("/api/overview")).json()
    assert content["level"] == "unwell"
    assert content["is_gateway_up"] is None
    assert content["findings"][0]["remedy"] == "Wake it."
    (machine,) = content["machines"]
    assert machine["oldest_waiting_s"] == 120
    assert set(machine["orders"]) == {state.value for state in OrderState}
    assert (await api.get("/api/machines")).json() == {"machines": content["machines"]}


async def test_health_and_readiness_differ(world: World, api: httpx.AsyncClient) -> None:
    """A server whose files cannot be read lives, and is not to be sent anything."""
    assert (await api.get("/healthz")).json() == {"status": "ok"}
    assert (await api.get("/readyz")).json() == {"status": "ready"}
    world.trouble = StorageUnavailable("The disk is gone.")
    assert (await api.get("/healthz")).status_code == 200
    assert (await api.get("/readyz")).status_code == 503


# ---- sessions


async def test_sessions_are_listed_and_forgotten(world: World, api: httpx.AsyncClient) -> None:
    """Keys of conversations may hold slashes and colons; what is gone is not found."""
    key = "web:anna/first steps"
    world.threads = [("test", make_session(conversation=key, model="big"))]
    (session,) = (await api.get("/api/sessions")).json()["sessions"]
    assert (session["conversation"], session["model"], session["machine"]) == (key, "big", "test")
    path = "/api/sessions/web%3Aanna%2Ffirst%20steps?machine=test"
    assert (await api.delete(path)).status_code == 204
    assert world.done == [("reset", key, "test")]
    again = await api.delete(path)
    assert again.status_code == 404
    assert "GET /api/sessions" in again.json()["detail"]


# ---- the trail


async def test_audit_narrows_and_turns_pages(world: World, api: httpx.AsyncClient) -> None:
    """Every filter counts; the cursor leads to the end."""
    for number in range(5):
        world.events.append(
            (
                "test",
                make_event(
                    event_type="order_received" if number % 2 else "order_claimed",
                    order_id=f"order-{number}",
                    timestamp=START + timedelta(minutes=number),
                    severity=AuditSeverity.ERROR if number == 3 else AuditSeverity.INFO,
                    data={"attempt": number},
                ),
            )
        )

    async def ids(query: str) -> list[str]:
        return [e["order_id"] for e in (await api.get(f"/api/audit?{query}")).json()["events"]]

    assert await ids("event_type=order_received") == ["order-3", "order-1"]
    assert await ids("severity=error") == ["order-3"]
    assert await ids("text=ORDER-2") == ["order-2"]
    assert await ids("since=2026-02-02T12:03:00%2B00:00") == ["order-4", "order-3"]
    assert await ids("since=2026-02-02T12:03:00+00:00") == ["order-4", "order-3"]
    assert await ids("machine=elsewhere") == []
    seen: list[str] = []
    cursor: str | None = ""
    for _ in range(3):
        page = (await api.get(f"/api/audit?limit=2&cursor={cursor}")).json()
        seen += [e["order_id"] for e in page["events"]]
        cursor = page["cursor"]
    assert cursor is None
    assert seen == [f"order-{n}" for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("query", ["severity=bad", "since=yesterday", "limit=1001", "txt=a"])
async def test_odd_searches_are_refused(api: httpx.AsyncClient, query: str) -> None:
    """As with orders: a filter that does not count would answer another question."""
    response = await api.get(f"/api/audit?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


# ---- metrics


async def test_metrics_are_prometheus_text(world: World, api: httpx.AsyncClient) -> None:
    """Names, labels, cumulative buckets and escapes as the format wants them."""
    odd = 'a"b\\c\nd'
    world.machines = {
        odd: _machine(name=odd, oldest_waiting=timedelta(seconds=90)),
        "two": _machine(name="two", counts={}, heartbeat=None),
    }
    world.is_up = {odd: True, "two": False}
    world.is_gateway_up = True
    world.run_seconds = Histogram(bounds=(0.5, 10.0), counts=(1, 3, 4), total_seconds=30.25)
    world.counted = {
        "order_dead_lettered": 2,
        "order_taken_over": 5,
        "order_given_back": 7,
        "rate_limited": 11,
    }
    response = await api.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.split("\n")
    label = r'machine="a\"b\\c\nd"'
    for line in (
        'galaxy_build_info{version="1.2.3"} 1',
        f'galaxy_orders{{{label},state="running"}} 1',
        f'galaxy_orders{{{label},state="succeeded"}} 100000',
        'galaxy_orders{machine="two",state="pending"} 0',
        f"galaxy_oldest_order_age_seconds{{{label}}} 90",
        'galaxy_oldest_order_age_seconds{machine="two"} 0',
        f"galaxy_hermes_up{{{label}}} 1",
        'galaxy_hermes_up{machine="two"} 0',
        f"galaxy_opencode_up{{{label}}} 1",
        "galaxy_gateway_up 1",
        'galaxy_order_run_seconds_bucket{le="0.5"} 1',
        'galaxy_order_run_seconds_bucket{le="10"} 3',
        'galaxy_order_run_seconds_bucket{le="+Inf"} 4',
        "galaxy_order_run_seconds_sum 30.25",
        "galaxy_order_run_seconds_count 4",
        "galaxy_letter_delivery_seconds_count 0",
        "galaxy_dead_letters_total 2",
        "galaxy_lease_takeovers_total 5",
        "galaxy_order_attempts_given_back_total 7",
        "galaxy_rate_limited_total 11",
        "galaxy_order_retries_total 0",
        'galaxy_audit_events_total{event_type="rate_limited"} 11',
    ):
        assert line in lines, line


async def test_every_metric_is_described_once(api: httpx.AsyncClient) -> None:
    """A family that comes twice has Prometheus refuse the whole page."""
    text = (await api.get("/metrics")).text
    assert text.endswith("\n")
    assert "\n\n" not in text
    described = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(described) == len(set(described))
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            assert any(name.startswith(each) for each in described), name
