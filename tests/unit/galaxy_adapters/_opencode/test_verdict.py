"""Which messages of a session are the answer to ours."""

from typing import Any

from galaxy_adapters._opencode.verdict import Aftermath

Message = dict[str, Any]


def message(role: str, text: str = "", kind: str = "text", **more: object) -> Message:
    """Make a message of one part; an answer is a finished one."""
    ended = {"finish": "stop", "time": {"completed": 1}} if role == "assistant" else {}
    info = {"role": role, **ended, **more}
    return {"info": info, "parts": [{"type": kind, "text": text}]}


def own(*messages: Message) -> tuple[Message, ...]:
    """Give those that belong to our turn."""
    return Aftermath(messages=messages).own().messages


ANSWER = message("assistant", "done")
UNFINISHED = message("assistant", "so far", finish=None)
TORN = message("assistant", "so f", finish=None, time={})
PERSON = message("user", "and now?")
COMPACTION = message("user", kind="compaction")
SUMMARY = message("assistant", "what was said", summary=True)


def test_prompt_after_the_end_begins_a_turn_of_its_own() -> None:
    """A person who goes on in the session, from a terminal, say."""
    assert own(ANSWER, PERSON, message("assistant", "theirs")) == (ANSWER,)
    assert Aftermath(messages=(ANSWER, PERSON)).own().is_overtaken
    assert not Aftermath(messages=(ANSWER,)).own().is_overtaken


def test_prompt_before_the_end_joins_the_turn() -> None:
    """One answer covers both."""
    joined = (UNFINISHED, PERSON, ANSWER)
    assert own(*joined) == joined
    assert own(PERSON, ANSWER) == (PERSON, ANSWER)


def test_answer_that_was_broken_off_is_not_that_of_the_next_prompt() -> None:
    """The agent died over it, and has answered somebody else since."""
    judged = Aftermath(messages=(TORN, PERSON, ANSWER)).own()
    assert judged.messages == (TORN,)
    assert judged.is_overtaken
    assert not judged.is_finished


def test_answer_that_is_being_written_is_waited_for() -> None:
    """A prompt that comes meanwhile may still join the turn."""
    assert own(TORN, PERSON) == (TORN, PERSON)


def test_what_opencode_says_to_itself_is_part_of_the_turn() -> None:
    """It makes room for a long conversation, and repeats the prompt or has the agent go on."""
    synthetic = message("user")
    synthetic["parts"][0]["synthetic"] = True
    for first in (UNFINISHED, ANSWER, TORN):
        for again in (PERSON, synthetic):
            turn = (first, COMPACTION, SUMMARY, again, ANSWER)
            assert own(*turn) == turn
