"""The scripted model over its own protocol."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from galaxy_core.testing.scripted_llm import ScriptedModelServer, running_model

BASH = {"type": "function", "function": {"name": "bash"}}


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModelServer]:
    """One model for the module; tests use prompts of their own."""
    with running_model() as server:
        yield server


def post(model: ScriptedModelServer, path: str, body: object) -> bytes:
    """One request, from the base URL's host."""
    base = model.url.removesuffix("/v1")
    request = urllib.request.Request(base + path, json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def complete(model: ScriptedModelServer, *messages: tuple[str, str], **more: object) -> str:
    """The text of an answer that is not streamed."""
    wanted = [{"role": role, "content": text} for role, text in messages]
    body = {"messages": wanted, "tools": [BASH], **more}
    answer = json.loads(post(model, "/v1/chat/completions", body))
    text: str = answer["choices"][0]["message"]["content"]
    return text


def test_prompt_without_script_is_echoed(model: ScriptedModelServer) -> None:
    """The number in the echo says how many user messages the agent sent along."""
    said = complete(model, ("user", "one"), ("assistant", "x"), ("user", "two"))
    assert said == "echo[2]: two"


def test_step_follows_from_the_conversation(model: ScriptedModelServer) -> None:
    """Nothing is kept between requests: the assistant's messages say how far the script is."""
    script = ("user", "CALL bash: ls\nSAY done")
    assert complete(model, script) == ""
    assert complete(model, script, ("assistant", "")) == "done"
    assert complete(model, script, ("assistant", ""), ("assistant", "")).startswith("script done")


def test_helper_calls_do_not_run_the_script(model: ScriptedModelServer) -> None:
    """A request without tools is for a title or a summary."""
    said = complete(model, ("system", "make a title"), ("user", "FAIL 500"), tools=[])
    assert said == "T: FAIL 500"


def test_streamed_answer_holds_words_call_and_usage(model: ScriptedModelServer) -> None:
    """A streamed step ends with its finish reason and the tokens that the script names."""
    prompt = 'SAY hello you\nUSAGE 7 3 2\nCALL bash {"command": "ls"}'
    raw = post(
        model,
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": prompt}], "tools": [BASH], "stream": True},
    )
    lines = [line[6:] for line in raw.decode().split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert [d["content"] for d in deltas if "content" in d] == ["", "hello ", "you"]
    calls = [d["tool_calls"][0]["function"] for d in deltas if "tool_calls" in d]
    assert "".join(call["arguments"] for call in calls) == '{"command": "ls"}'
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}


def test_counted_failures_end(model: ScriptedModelServer) -> None:
    """`FAIL 503 x1` fails once, so that an agent's own retry can be seen to work."""
    prompt = ("user", "FAIL 503 x1 retry-after=4\nSAY better")
    with pytest.raises(urllib.error.HTTPError) as failed:
        complete(model, prompt)
    with failed.value as error:
        assert (error.code, error.headers["retry-after"]) == (503, "4")
    assert complete(model, prompt) == "better"


def test_hang_up_gives_no_answer(model: ScriptedModelServer) -> None:
    """FAIL hangup closes the connection before a status line."""
    with pytest.raises((ConnectionError, urllib.error.URLError)):
        complete(model, ("user", "FAIL hangup"))


def test_model_counts_how_often_it_began_on_a_prompt(model: ScriptedModelServer) -> None:
    """Later steps of the same prompt and helper calls are not a second time."""
    prompt = ("user", "CALL bash: count me\nSAY ok")
    assert model.count(prompt[1]) == 0
    complete(model, prompt)
    complete(model, prompt, ("assistant", ""))
    complete(model, prompt, tools=[])
    assert model.count(prompt[1]) == 1
    assert json.loads(post(model, "/__count", {"prompt": prompt[1]})) == {"count": 1}
    complete(model, prompt)
    assert model.count(prompt[1]) == 2


def test_dump_describes_the_request(model: ScriptedModelServer) -> None:
    """DUMP shows what the agent really sent."""
    found = json.loads(complete(model, ("system", "abc"), ("user", "DUMP")))
    assert found["messages"][0] == {"role": "system", "len": 3, "head": "abc"}
    assert found["tools"] == ["bash"]


def test_end_of_the_server_ends_its_waits() -> None:
    """A stalled answer does not hold a test run up."""
    with running_model() as server:
        request = urllib.request.Request(  # noqa: S310
            f"{server.url}/chat/completions",
            json.dumps(
                {
                    "messages": [{"role": "user", "content": "FAIL stall"}],
                    "tools": [BASH],
                    "stream": True,
                }
            ).encode(),
        )
        answer = urllib.request.urlopen(request, timeout=10)  # noqa: S310
    with answer:
        assert b'"finish_reason": "stop"' in answer.read()
