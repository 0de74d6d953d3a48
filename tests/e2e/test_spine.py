"""The spine, whole: files in, the real opencode, files out; killed wherever it writes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from galaxy_core.testing.clock import START
from galaxy_core.testing.script import JSON
from galaxy_core.testing.scripted_llm import ScriptedModelServer
from galaxy_core.wire.response import parse_response
from tests.e2e.machine import Machine, command_of, eventually

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]

MORTAL = Path(__file__).with_name("mortal_hermes.py")
MakeMachine = Callable[..., Machine]


@pytest.fixture
def make_machine(
    tmp_path: Path, opencode_binary: Path, scripted_model: ScriptedModelServer
) -> Iterator[MakeMachine]:
    """Machines that are cleaned up."""
    made: list[Machine] = []

    def make(permission: dict[str, JSON] | None = None, **settings: JSON) -> Machine:
        machine = Machine(
            folder=tmp_path / f"machine-{len(made) + 1}",
            opencode=opencode_binary,
            model_url=scripted_model.url,
            settings=settings,
            permission=permission,
        )
        made.append(machine)
        return machine

    yield make
    for machine in made:
        machine.stop_all()


@pytest.mark.parametrize("dispatcher", ["opencode-server", "opencode-cli"])
def test_the_guides_order_comes_back(
    make_machine: MakeMachine, scripted_model: ScriptedModelServer, dispatcher: str
) -> None:
    """Dropped with `cat`: response, archive, letter, trail; the next order knows of the first."""
    machine = make_machine(dispatcher=dispatcher)
    machine.start()
    first = f"Test: Echo hello world ({dispatcher})"
    machine.drop("test", first, session="talk")
    machine.wait_for_end("test")

    response = parse_response(
        machine.layout.response("test").read_bytes(), order_id="test", written_at=START
    )
    assert response.text == f"echo[1]: {first}"
    assert response.payload == first
    archived = machine.archived("test")
    assert archived["acknowledged"] is True
    assert archived["outcome"] == "succeeded"
    assert archived["from"] == "test"
    (letter,) = machine.letters()
    assert (letter["order_id"], letter["sent"]) == ("test", False)
    kinds = [line["event_type"] for line in machine.trail("test")]
    assert kinds == [
        "order_received",
        "order_claimed",
        "order_execution_started",
        "order_executed_success",
    ]
    machine.drop("again", "and again", session="talk")
    machine.wait_for_end("again")
    # The scripted model counts the user messages that it is shown.
    assert "echo[2]: and again" in machine.response("again")
    assert scripted_model.count(first) == 1


def test_three_orders_at_once_and_eight_conversations(make_machine: MakeMachine) -> None:
    """One conversation: three answers in order.  Eight conversations: side by side."""
    machine = make_machine(workers=8)
    machine.start()
    for number in range(3):
        machine.drop(f"talk-{number}", f"SAY answer {number}", session="talk")
    machine.wait_for_end(*(f"talk-{number}" for number in range(3)))
    ends = [str(machine.archived(f"talk-{number}")["finished_at"]) for number in range(3)]
    assert ends == sorted(ends)
    assert [f"answer {n}" in machine.response(f"talk-{n}") for n in range(3)] == [True] * 3

    for number in range(8):
        machine.drop(f"side-{number}", "SLEEP 2\nSAY done", session=f"side-{number}")
    machine.wait_for_end(*(f"side-{number}" for number in range(8)))
    starts = [str(machine.archived(f"side-{n}")["started_at"]) for n in range(8)]
    finishes = [str(machine.archived(f"side-{n}")["finished_at"]) for n in range(8)]
    assert max(starts) < min(finishes), "all eight ran at the same time"


PLACES = [
    "dispatcher.prepare:after",
    "audit.record:after",
    "journal.write_ticket:before",
    "journal.write_ticket:after",
    "dispatcher.event:RunStarted",
    "dispatcher.event:TextAppended",
    "dispatcher.event:RunEnded",
    "journal.write_settlement:before",
    "journal.write_settlement:after",
    "responses.commit:before",
    "responses.commit:after",
    "outbox.post:after",
    "queue.ack:before",
    "queue.ack:after",
    "journal.forget:before",
]


def test_killed_wherever_it_writes(
    make_machine: MakeMachine, scripted_model: ScriptedModelServer
) -> None:
    """kill -9 at each place: after a restart one answer, one letter, one prompt at the model."""
    machine = make_machine()
    prompts = {}
    for number, place in enumerate(PLACES):
        order_id = f"order-{number}"
        prompts[order_id] = f"SLOW 0.02\nSAY one two three four five six ({place})"
        mortal = machine.start(program=[str(MORTAL), place])
        machine.drop(order_id, prompts[order_id], session="one")
        eventually(lambda: mortal.poll() is not None, f"Hermes dies at {place}")  # noqa: B023
        assert mortal.returncode == -signal.SIGKILL, machine.logs()
        survivor = machine.start()
        machine.wait_for_end(order_id)
        survivor.kill()
        survivor.wait()

    for order_id, prompt in prompts.items():
        assert scripted_model.count(prompt) == 1, f"{order_id}: {prompt}"
        assert "one two three four five six" in machine.response(order_id)
        assert machine.archived(order_id)["outcome"] == "succeeded"
    assert sorted(str(letter["order_id"]) for letter in machine.letters()) == sorted(prompts)
    for order_id in prompts:
        ends = [r for r in machine.trail(order_id) if r["event_type"] == "order_executed_success"]
        assert sum(not r.get("is_repeated") for r in ends) <= 1
        assert ends
    checked = machine.galaxy("audit", "verify", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_server_is_killed_in_the_middle(
    make_machine: MakeMachine, scripted_model: ScriptedModelServer
) -> None:
    """The agent's server dies under a running tool: one answer, no second prompt, no orphan."""
    machine = make_machine()
    machine.start()
    machine.wait_until_up()
    mark = machine.project / "tool-started"
    prompt = f"CALL bash: touch {mark}; sleep 300\nSAY never said"
    machine.drop("victim", prompt)
    eventually(mark.exists, "the tool runs")
    for server in machine.servers():
        os.kill(server, signal.SIGKILL)
    machine.wait_for_end("victim")
    assert scripted_model.count(prompt) == 1
    assert machine.archived("victim")["outcome"] == "succeeded"
    assert len(machine.letters()) == 1
    eventually(
        lambda: not [pid for pid in machine.relatives() if "sleep 300" in command_of(pid)],
        "no tool is left behind",
    )


def test_a_run_goes_on_while_hermes_restarts(
    make_machine: MakeMachine, scripted_model: ScriptedModelServer
) -> None:
    """Hermes is killed while a tool runs; the tool ends undisturbed and its answer is fetched."""
    machine = make_machine()
    first = machine.start()
    mark = machine.project / "ran"
    prompt = f"CALL bash: sleep 3; echo once >> {mark}\nSAY it ran"
    machine.drop("long", prompt)
    eventually(
        lambda: bool(machine.trail("long")) if machine.layout.audit_log.exists() else False,
        "the order begins",
    )
    eventually(lambda: scripted_model.count(prompt) == 1, "the model has the prompt")
    first.kill()
    first.wait()
    machine.start()
    machine.wait_for_end("long")
    assert mark.read_text(encoding="utf-8") == "once\n"
    assert "it ran" in machine.response("long")
    assert scripted_model.count(prompt) == 1


def test_a_running_order_is_cancelled_from_the_terminal(make_machine: MakeMachine) -> None:
    """`galaxy order cancel` stops the tool, and the order is answered as cancelled."""
    machine = make_machine()
    machine.start()
    mark = machine.project / "tool-started"
    machine.drop("long", f"CALL bash: touch {mark}; sleep 300\nSAY never said")
    eventually(mark.exists, "the tool runs")
    cancelled = machine.galaxy("order", "cancel", "long", "--json")
    assert cancelled.returncode == 0, cancelled.stderr
    json.loads(cancelled.stdout)
    machine.wait_for_end("long")
    assert machine.archived("long")["outcome"] == "cancelled"
    eventually(
        lambda: not [pid for pid in machine.relatives() if "sleep 300" in command_of(pid)],
        "the tool is gone",
    )


def test_a_permission_is_given_from_the_terminal(make_machine: MakeMachine) -> None:
    """The agent asks, `galaxy order answer` shows the request and gives the answer."""
    machine = make_machine(permission={"bash": "ask"})
    machine.start()
    machine.drop("asks", "CALL bash: echo allowed > allowed.txt\nSAY thank you")

    def waiting() -> list[JSON]:
        shown = machine.galaxy("order", "answer", "asks", "--json")
        found = json.loads(shown.stdout)["waiting"] if shown.returncode == 0 else []
        assert isinstance(found, list)
        return found

    eventually(lambda: bool(waiting()), "the request is shown")
    wrong = machine.galaxy("order", "answer", "asks", "perhaps")
    assert wrong.returncode == 2
    assert "once" in wrong.stderr
    answered = machine.galaxy("order", "answer", "asks", "once")
    assert answered.returncode == 0, answered.stderr
    machine.wait_for_end("asks")
    assert "thank you" in machine.response("asks")
    assert (machine.project / "allowed.txt").exists()
    kinds = [line["event_type"] for line in machine.trail("asks")]
    assert kinds.count("permission_requested") == 1
    assert kinds.count("request_resolved") == 1


def test_a_stop_leaves_an_idle_server_no_longer_than_hermes(make_machine: MakeMachine) -> None:
    """TERM with nothing to do: Hermes ends in good order, and no process is left."""
    machine = make_machine()
    process = machine.start()
    machine.drop("a", "SAY hello")
    machine.wait_for_end("a")
    process.terminate()
    assert process.wait(30) == 0, machine.logs()
    assert machine.relatives() == []


def test_once_works_off_what_waits_and_leaves_nothing_running(
    make_machine: MakeMachine,
) -> None:
    """`galaxy-hermes --once`: everything that waits is answered, then no process is left."""
    machine = make_machine()
    for number in range(3):
        machine.drop(f"o{number}", f"SAY answer {number}")
    process = machine.start("--once")
    assert process.wait(60) == 0, machine.logs()
    assert [machine.archived(f"o{n}")["outcome"] for n in range(3)] == ["succeeded"] * 3
    assert machine.heartbeat()["status"] == "stopped"
    assert machine.relatives() == []
