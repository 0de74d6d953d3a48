"""The dispatcher in memory under the suite that every dispatcher passes."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    Option,
    PermissionRequested,
    Question,
    QuestionAsked,
    RunRequest,
    StepFinished,
    TextAppended,
)
from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts import (
    DispatcherContract,
    DispatcherFeatures,
    DispatcherHarness,
)
from galaxy_core.testing.factories import unique
from galaxy_core.testing.memory import (
    Hang,
    ManualClock,
    MemoryAgent,
    MemoryDispatcher,
    Script,
)


class MemoryDispatcherHarness(DispatcherHarness):
    """An agent in memory; each `MemoryDispatcher` over it is a caller."""

    def __init__(self, folder: Path, *, can_be_asked: bool = True) -> None:
        self.directory = folder / "project"
        self.asking_directory = folder / "asking"
        self.clock = ManualClock()
        self.agent = MemoryAgent(default=self._play)
        self._can_be_asked = can_be_asked
        self.dispatcher = self._connect()

    def _connect(self) -> MemoryDispatcher:
        return MemoryDispatcher(
            self.clock,
            self.agent,
            can_be_asked=self._can_be_asked,
            agents=frozenset({self.named_agent}),
            models=frozenset(),
        )

    async def count(self, prompt: str) -> int:
        return self.agent.prompts.count(prompt)

    async def crash_caller(self) -> MemoryDispatcher:
        self.dispatcher = self._connect()
        return self.dispatcher

    async def crash_agent(self) -> None:
        self.agent.break_off()

    async def pause(self) -> None:
        await settle()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    # ---- scripts

    def _play(self, request: RunRequest, number: int) -> Script:
        """Without a script of its own a prompt is echoed, with its number in the session."""
        if not request.prompt.startswith("Run-"):
            return Script.saying(f"echo[{number}]: {request.prompt}")
        steps: list[PermissionRequested | StepFinished] = []
        for call in range(1, int(request.prompt.partition(" ")[2]) + 1):
            if request.directory == self.asking_directory:
                request_id = RequestId(f"per_{call}")
                steps.append(PermissionRequested(request_id=request_id, permission="bash"))
            steps.append(StepFinished(reason="tool-calls", number=call))
        return Script((*steps, TextAppended(text="all done", part="p")))

    def _scripted(self, script: Script) -> str:
        prompt = unique("Scripted")
        self.agent.script(prompt, script)
        return prompt

    def hangs(self) -> str:
        return self._scripted(Script((Hang(),)))

    def runs(self, *commands: str) -> str:
        return f"{unique('Run')} {len(commands)}"

    def says_slowly(self, text: str) -> str:
        words = text.split(" ")
        pieces = [words[0], *(f" {word}" for word in words[1:])]
        return self._scripted(Script(tuple(TextAppended(text=p, part="p") for p in pieces)))

    def asks(self, question: str, *options: str) -> str:
        asked = Question(text=question, options=tuple(Option(label=label) for label in options))
        return self._scripted(
            Script(
                (
                    QuestionAsked(request_id=RequestId("que_1"), questions=(asked,)),
                    TextAppended(text="all done", part="p"),
                )
            )
        )

    def fails(self, message: str) -> str:
        return self._scripted(Script.failing(message))

    def babbles(self) -> str:
        finishes = (StepFinished(reason="unknown", number=number) for number in range(1, 40))
        return self._scripted(Script(tuple(finishes)))


class TestMemoryDispatcher(DispatcherContract):
    """An agent that can be asked, like opencode's server."""

    features = DispatcherFeatures(runs_tools=False)

    @pytest.fixture
    def harness(self, tmp_path: Path) -> DispatcherHarness:
        """Give an agent that has not been asked anything."""
        return MemoryDispatcherHarness(tmp_path)


class TestMemoryDispatcherThatCannotBeAsked(DispatcherContract):
    """A bare command line, as a test of Hermes may want one."""

    features = DispatcherFeatures(runs_tools=False, can_be_asked=False, outlives_caller=False)

    @pytest.fixture
    def harness(self, tmp_path: Path) -> DispatcherHarness:
        """Give an agent that has not been asked anything."""
        return MemoryDispatcherHarness(tmp_path, can_be_asked=False)
