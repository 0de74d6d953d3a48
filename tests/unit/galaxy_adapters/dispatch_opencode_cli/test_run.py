"""One run of `opencode run`, with its process played by the test."""

from typing import cast

import pytest

from galaxy_adapters.dispatch_opencode_cli.process import Ended, SupervisedProcess
from galaxy_adapters.dispatch_opencode_cli.run import Run
from galaxy_adapters.dispatch_opencode_cli.tickets import Errand
from galaxy_core.domain.run import RunEnded, Verdict
from galaxy_core.testing.factories import make_run_request

pytestmark = pytest.mark.anyio


class EndlessProcess:
    """Says nothing, and ends when it is told to."""

    pid = 0
    is_stopped = False

    def stop(self) -> None:
        """End."""
        self.is_stopped = True

    async def line(self, _seconds: float) -> None:
        """Give the end of the output."""
        assert self.is_stopped, "waited for ever"

    async def wait(self) -> Ended:
        """Wait for the end."""
        return Ended(code=143, complaints="")

    async def close(self) -> None:
        """Give nothing back."""


async def test_cancel_while_the_process_starts_ends_it() -> None:
    """There is nothing to be ended yet, and nobody comes a second time."""
    errand = Errand(session="ses_1", run="run_1", directory="/", prompt_digest=None)
    run = Run(request=make_run_request(), errand=errand)
    await run.cancel()
    told = [event async for event in run.events(cast("SupervisedProcess", EndlessProcess()))]
    assert isinstance(told[-1], RunEnded)
    assert told[-1].verdict is Verdict.CANCELLED
