"""Whatever the agent prints: it means something or nothing, and the run gets a verdict."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_adapters.dispatch_opencode_cli.transcript import Transcript
from tests.unit.galaxy_adapters.dispatch_opencode_server.test_strange_events import objects
from tests.unit.galaxy_core.wire.strategies import outside_bytes

KINDS = ("text", "reasoning", "tool_use", "step_finish", "step_start", "error", "other")


@settings(deadline=timedelta(seconds=2), max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(KINDS), objects), max_size=5), st.integers(0, 255))
def test_lines_of_any_form(lines: list[tuple[str, dict[str, Any]]], code: int) -> None:
    """A line that nobody knows ends neither the run nor its reader."""
    transcript = Transcript()
    for kind, content in lines:
        transcript.feed(json.dumps({"part": content, **content, "type": kind}).encode())
    assert transcript.ended(code=code, complaints="x").verdict


@settings(deadline=timedelta(seconds=2), max_examples=60)
@given(outside_bytes)
def test_lines_of_any_bytes(line: bytes) -> None:
    """What is no JSON object is passed over."""
    Transcript().feed(line)
    assert Transcript().feed(b"[" * 200_000) == []
