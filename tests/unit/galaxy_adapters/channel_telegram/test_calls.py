"""What refusals mean, in the words that Telegram has for them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, field

from galaxy_adapters.channel_telegram._calls import Calls, MessageGone, Refused
from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused, Trouble
from galaxy_core.domain.errors import ChatUnreachable, DeliveryUnknown, TransientError

pytestmark = pytest.mark.anyio


@define
class _Server:
    """Refuses in the given words, one after the other, and then agrees."""

    refusals: list[CallRefused | CallFailed]
    calls: list[dict[str, object]] = field(factory=list)

    async def call(
        self,
        method: str,
        parameters: Mapping[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> Any:  # noqa: ANN401 - as the port of `Calls` has it
        """Answer."""
        self.calls.append(dict(parameters or {}))
        if self.refusals:
            raise self.refusals.pop(0)
        return {"message_id": 1}


def _server(*words: str) -> _Server:
    return _Server([CallRefused(one) for one in words])


@pytest.mark.parametrize(
    "words,meaning",
    [
        ("Chat not found", ChatUnreachable),
        ("PEER_ID_INVALID", ChatUnreachable),
        ("CHAT_WRITE_FORBIDDEN", ChatUnreachable),
        ("have no rights to send a message", ChatUnreachable),
        ("not enough rights to send text messages to the chat", ChatUnreachable),
        ("user is deactivated", ChatUnreachable),
        ("Message to edit not found", MessageGone),
        ("message can't be edited", MessageGone),
        ("MESSAGE_ID_INVALID", MessageGone),
        ("BUTTON_DATA_INVALID", Refused),
        ("Request Entity Too Large", Refused),
        ("whatever comes next year", Refused),
    ],
)
async def test_refusal_has_a_meaning(words: str, meaning: type[Exception]) -> None:
    """The chat is over, the message is over, or this letter is: three different matters."""
    server = _server(words)
    with pytest.raises(meaning):
        await Calls(server).write("sendMessage", {"chat_id": "1", "text": "x"})
    assert len(server.calls) == 1


async def test_forbidden_is_unreachable_whatever_it_says() -> None:
    """403 has many wordings and one meaning."""
    server = _Server([CallRefused("bot was kicked", is_forbidden=True)])
    with pytest.raises(ChatUnreachable):
        await Calls(server).write("sendMessage", {"chat_id": "1"})


async def test_unchanged_message_is_no_failure() -> None:
    """It shows what it should show."""
    server = _server("message is not modified: specified new message content ...")
    assert await Calls(server).write("editMessageText", {"chat_id": "1"}) is None


async def test_everything_is_mended_at_most_once() -> None:
    """A topic that is gone and entities that are refused cost one more call each, no loop."""
    entities = [{"type": "bold", "offset": 0, "length": 9}]
    parameters = {"chat_id": "1", "text": "x", "message_thread_id": 5, "entities": entities}
    server = _server("message thread not found", "entity begins after the end")
    assert await Calls(server).write("sendMessage", parameters) == {"message_id": 1}
    assert server.calls[-1] == {"chat_id": "1", "text": "x"}
    again = _server(*["message thread not found"] * 9)
    with pytest.raises(Refused):
        await Calls(again).write("sendMessage", parameters)
    assert len(again.calls) == 2


async def test_album_keeps_its_files_without_entities() -> None:
    """The caption of an album loses its form, not its words."""
    entities = [{"type": "bold", "offset": 0, "length": 9}]
    media = [{"type": "photo", "media": "f", "caption": "x", "caption_entities": entities}]
    server = _server("can't parse entities")
    await Calls(server).write("sendMediaGroup", {"chat_id": "1", "media": media})
    assert server.calls[-1]["media"] == [{"type": "photo", "media": "f", "caption": "x"}]


async def test_groups_that_move_in_a_circle_end() -> None:
    """No answer of a server keeps us calling."""
    refusals: list[CallRefused | CallFailed] = []
    for number in range(20):
        refusal = CallRefused("the group has become a supergroup")
        refusal.new_chat_id = str(-number % 2 - 5)
        refusals.append(refusal)
    server = _Server(refusals)
    with pytest.raises(Refused):
        await Calls(server).write("sendMessage", {"chat_id": "-1"})
    assert len(server.calls) <= 4


@pytest.mark.parametrize("is_unknown", [True, False])
async def test_failure_is_unknown_or_transient(is_unknown: bool) -> None:  # noqa: FBT001 - a case
    """Only a call that may have taken effect is told as unknown; the time to wait is kept."""
    pause = timedelta(seconds=3)
    failure = CallFailed("no", Trouble.NETWORK, retry_after=pause, is_unknown=is_unknown)
    with pytest.raises(TransientError) as caught:
        await Calls(_Server([failure])).write("sendMessage", {"chat_id": "1"})
    assert isinstance(caught.value, DeliveryUnknown) == is_unknown
    assert caught.value.retry_after == (None if is_unknown else pause)
