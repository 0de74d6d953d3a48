"""Marks in the text of a message."""

from datetime import timedelta

import pytest
from hypothesis import given

from galaxy_core.domain.order import Priority
from galaxy_core.wire.markers import Markers, read_markers
from tests.unit.galaxy_core.wire.strategies import marked_text


@pytest.mark.parametrize(
    "text, markers",
    [
        ("fix it 🔴", Markers(priority=Priority.URGENT)),
        ("⚡ fix it", Markers(priority=Priority.URGENT)),
        ("🔵 later", Markers(priority=Priority.LOW)),
        ("⏸️ later", Markers(priority=Priority.LOW)),
        ("⏸ later 🔴", Markers(priority=Priority.URGENT)),
        ("⏰2h", Markers(delay=timedelta(hours=2))),
        ("⏰30m and ⏰1d", Markers(delay=timedelta(minutes=30))),
        ("⏰ 3d", Markers(delay=timedelta(days=3))),
        ("⏰2x", Markers()),
        ("⏰", Markers()),
        ("#docs: fix", Markers(project="docs")),
        ("fix #my-project.", Markers(project="my-project")),
        ("größer #größe", Markers(project="größe")),
        ("see issue #42", Markers()),
        ("write C# and page.html#top", Markers()),
        ("# a heading", Markers()),
        ("#!/bin/sh", Markers()),
        ("#include <stdio.h>\n#define X", Markers(project="include")),
        ("nothing", Markers()),
    ],
)
def test_marks(text: str, markers: Markers) -> None:
    """The original's marks, without what merely looks like a tag."""
    assert read_markers(text) == markers


@given(marked_text)
def test_any_text(text: str) -> None:
    """No text makes the reader fail, and no delay is one that cannot be waited for."""
    delay = read_markers(text).delay
    assert delay is None or delay <= timedelta(days=3660)
