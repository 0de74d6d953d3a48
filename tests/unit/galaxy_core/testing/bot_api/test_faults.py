"""Everything that can go wrong between a bot and Telegram."""

import json

import anyio
import httpx
import pytest

from galaxy_core.testing.bot_api import BotApiServer, Fault, Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


@pytest.mark.parametrize(
    "fault,status",
    [
        (Fault("flood", retry_after=17), 429),
        (Fault("error", status=500), 500),
        (Fault("error"), 502),
        (Fault("conflict"), 409),
        (Fault("unauthorized"), 401),
        (Fault("not_found"), 404),
    ],
)
async def test_refusals_come_once_and_nothing_happened(
    call: Caller, ann: Person, fault: Fault, status: int
) -> None:
    """Planned for one call: the next one is through."""
    call.server.plan(fault)
    answer = await call("sendMessage", chat_id=ann.id, text="a")
    assert answer["error_code"] == status
    if status == 429:
        assert answer["description"] == "Too Many Requests: retry after 17"
        assert answer["parameters"] == {"retry_after": 17}
    assert call.server.sent(ann) == ()
    await call.result("sendMessage", chat_id=ann.id, text="a")
    first, second = call.server.calls("sendMessage")
    assert (first.fault, first.took_effect, first.status) == (fault.kind, False, status)
    assert (second.fault, second.took_effect) == ("", True)


@pytest.mark.parametrize("kind,count", [("cut_before", 0), ("cut_after", 1)])
async def test_cut_connections(call: Caller, ann: Person, kind: str, count: int) -> None:
    """The caller cannot tell them apart; the person can."""
    call.server.plan(Fault(kind, method="sendMessage"))
    with pytest.raises(httpx.TransportError):
        await call("sendMessage", chat_id=ann.id, text="a")
    assert len(call.server.sent(ann)) == count
    [made] = call.server.calls("sendMessage")
    assert (made.took_effect, made.status) == (bool(count), 0)


@pytest.mark.parametrize("kind,count", [("hang", 0), ("hang_after", 1)])
async def test_hangs(call: Caller, ann: Person, kind: str, count: int) -> None:
    """The call is never answered; the server goes on with others."""
    call.server.plan(Fault(kind))
    with pytest.raises(httpx.ReadTimeout):
        await call.client.post(
            call.url("sendMessage"), json={"chat_id": ann.id, "text": "a"}, timeout=0.1
        )
    assert len(call.server.sent(ann)) == count
    assert await call.result("getMe")


@pytest.mark.parametrize("kind,count", [("html", 0), ("html_after", 1)])
async def test_pages_of_a_proxy(call: Caller, ann: Person, kind: str, count: int) -> None:
    """HTML instead of JSON."""
    call.server.plan(Fault(kind))
    response = await call.client.post(
        call.url("sendMessage"), json={"chat_id": ann.id, "text": "a"}
    )
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html")
    assert len(call.server.sent(ann)) == count


async def test_late_answers(call: Caller, ann: Person) -> None:
    """It took effect long before the answer comes."""
    call.server.plan(Fault("late", seconds=30))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call.client.post, call.url(f"sendMessage?chat_id={ann.id}&text=a"))
        await call.server.until(lambda: call.server.sent(ann))
        tasks.cancel_scope.cancel()
    call.server.plan(Fault("late", seconds=0.01))
    await call.result("sendMessage", chat_id=ann.id, text="b")


async def test_slow_and_broken_bodies(call: Caller, ann: Person) -> None:
    """A download that trickles is whole in the end; one that breaks is noticed."""
    file_id = ann.sends_document("a.txt", b"x" * 1000)["document"]["file_id"]
    path = (await call.result("getFile", file_id=file_id))["file_path"]
    url = f"{call.server.base_file_url}{call.server.token}/{path}"
    call.server.plan(Fault("slow", method="file", seconds=0.02))
    assert (await call.client.get(url)).content == b"x" * 1000
    call.server.plan(Fault("cut_body", method="file"))
    with pytest.raises(httpx.RemoteProtocolError):
        await call.client.get(url)


async def test_plans_by_method_chat_and_count(call: Caller, ann: Person) -> None:
    """A plan strikes only what it names, after what it spares, as often as it says."""
    bob = call.server.person("Bob")
    call.server.plan(Fault("error", method="sendMessage", chat_id=ann.id, after=1, times=2))
    assert (await call("getMe"))["ok"]
    assert (await call("sendMessage", chat_id=bob.id, text="a"))["ok"]
    ended = [(await call("sendMessage", chat_id=ann.id, text="a"))["ok"] for _ in range(5)]
    assert ended == [True, False, False, True, True]


async def test_plans_spare_polls_unless_they_name_them(call: Caller) -> None:
    """A general plan is about what the bot says."""
    call.server.plan(Fault("error", times=None))
    assert (await call("getUpdates"))["ok"]
    assert not (await call("getMe"))["ok"]
    call.server.heal()
    assert (await call("getMe"))["ok"]


async def test_chance_is_seeded() -> None:
    """The same seed strikes the same calls."""
    histories = []
    for _ in range(2):
        async with BotApiServer(seed=4) as server, httpx.AsyncClient() as client:
            server.plan(Fault("error", times=None, probability=0.5))
            call = Caller(server, client)
            histories.append([(await call("getMe"))["ok"] for _ in range(20)])
    assert histories[0] == histories[1]
    assert set(histories[0]) == {True, False}


async def test_redelivery_as_a_fault(call: Caller, ann: Person) -> None:
    """One poll's offset is overlooked, and what was confirmed comes again with what is new."""
    ann.writes("one")
    [first] = await call.result("getUpdates")
    await call.result("getUpdates", offset=first["update_id"] + 1)
    ann.writes("two")
    call.server.plan(Fault("redeliver", method="getUpdates"))
    again = await call.result("getUpdates", offset=first["update_id"] + 1)
    assert [one["message"]["text"] for one in again] == ["one", "two"]


async def test_updates_in_another_order(call: Caller, ann: Person) -> None:
    """All of them, and every one once: only their order is not that of their numbers."""
    for number in range(20):
        ann.writes(str(number))
    call.server.plan(Fault("reorder", method="getUpdates"))
    first, second = await call.result("getUpdates"), await call.result("getUpdates")
    assert first != second
    assert sorted(first, key=lambda one: one["update_id"]) == second


def test_unknown_faults_are_refused() -> None:
    """A plan that would never strike is a mistake of the test."""
    with pytest.raises(ValueError, match="must be in"):
        Fault("explode")


async def test_calls_are_readable(call: Caller, ann: Person) -> None:
    """JSON inside strings is opened, the answer is kept, files are sizes."""
    await call.client.post(
        call.url("sendDocument"),
        data={"chat_id": str(ann.id), "reply_parameters": json.dumps({"message_id": 1})},
        files={"document": ("a.txt", b"12345")},
    )
    [made] = call.server.calls("sendDocument")
    assert made.arguments["reply_parameters"] == {"message_id": 1}
    assert made.arguments["document"] == {"file_name": "a.txt", "size": 5}
    assert made.answer["error_code"] == 400
