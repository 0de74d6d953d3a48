"""The script words that drive scripted models and agents."""

import pytest

from galaxy_core.testing import script
from galaxy_core.testing.script import Action


def test_words_stand_first_on_their_line() -> None:
    """Prose is not a script, also where it holds a script word further on."""
    written = script.parse("please SAY nothing\n  SAY one\n> CALL bash: ls\nSAYING two")
    assert written == [Action("SAY", "one"), Action("CALL", "bash: ls")]


def test_prompt_that_the_command_line_quoted_is_unwrapped() -> None:
    r"""`opencode run "SAY \"x\""` sends the argument in quotes; the script still runs."""
    assert script.parse('"SAY a \\"b\\""') == [Action("SAY", 'a "b"')]


def test_step_ends_after_its_tool_calls() -> None:
    """AND joins a call to the step before it; anything else after a call is a new step."""
    steps = script.steps_of(script.parse("SAY a\nREAD x\nAND READ y\nSAY b"))
    assert [[action.word for action in step] for step in steps] == [
        ["SAY", "READ", "READ"],
        ["SAY"],
    ]


@pytest.mark.parametrize(
    "line,name,arguments",
    [
        ("READ a.txt", "read", {"filePath": "a.txt"}),
        ("WRITE a.txt: one\\ntwo", "write", {"filePath": "a.txt", "content": "one\ntwo"}),
        ("EDIT a: x => y", "edit", {"filePath": "a", "oldString": "x", "newString": "y"}),
        ("CALL glob: *.py", "glob", {"pattern": "*.py"}),
        ("CALL odd: thing", "odd", {"input": "thing"}),
        ('CALL any.tool {"a": [1]}', "any.tool", {"a": [1]}),
        (
            "TASK general: SAY x;;SAY y",
            "task",
            {"description": "SAY x", "prompt": "SAY x\nSAY y", "subagent_type": "general"},
        ),
    ],
)
def test_tool_words_become_calls(line: str, name: str, arguments: dict[str, object]) -> None:
    """Each short form gives the arguments that opencode's tool of that name takes."""
    call = script.tool_call(script.parse(line)[0])
    assert (call.name, call.arguments, call.raw) == (name, arguments, None)


def test_bad_arguments_are_sent_as_they_stand() -> None:
    """A model that writes invalid JSON is part of what agents must live with."""
    call = script.tool_call(Action("CALL", "bash {nope}"))
    assert call.encoded == "{nope}"


def test_todo_marks_are_states() -> None:
    """The mark behind an item is its state, none means pending."""
    call = script.tool_call(Action("TODO", "a | b* | c+ | d-"))
    todos = call.arguments["todos"]
    assert isinstance(todos, list)
    states = [todo["status"] for todo in todos if isinstance(todo, dict)]
    assert states == ["pending", "in_progress", "completed", "cancelled"]


def test_question_offers_its_options() -> None:
    """ASK gives one question; MULTI lets several options be chosen."""
    call = script.tool_call(Action("ASK", "MULTI Colour? | red | blue"))
    assert call.arguments["questions"] == [
        {
            "question": "Colour?",
            "header": "Colour?",
            "options": [
                {"label": "red", "description": "choose red"},
                {"label": "blue", "description": "choose blue"},
            ],
            "multiple": True,
        }
    ]


def test_failure_line_is_taken_apart() -> None:
    """How often it fails, and how long the client is asked to wait, stand in the line."""
    found = script.failure(Action("FAIL", "429 x2 busy retry-after=7"))
    assert (found.kind, found.times, found.retry_after) == ("429", 2, "7")
    assert script.failure(Action("FAIL", "")).kind == "500"
