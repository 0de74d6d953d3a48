"""A settings file may hold anything: it is read, or every problem is said; nothing else happens."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_apps.settings import SettingsError, load
from tests.unit.galaxy_core.wire.strategies import json_values, outside_bytes

GOLDEN = json.loads((Path(__file__).parent / "golden" / "everything.json").read_bytes())


def spoilt(content: Any, path: list[int], value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The content with another value somewhere in it."""
    if not path or not isinstance(content, dict) or not content:
        return value
    key = sorted(content)[path[0] % len(content)]
    return {**content, key: spoilt(content[key], path[1:], value)}


files = outside_bytes | st.builds(
    lambda path, value: json.dumps(spoilt(GOLDEN, path, value)).encode("utf-8", "surrogatepass"),
    st.lists(st.integers(0, 100), min_size=1, max_size=3),
    json_values | st.sampled_from([[], {}, "", -1, 10**400, 1e308, "x" * 5000]),
)


@settings(deadline=timedelta(seconds=2), max_examples=100)
@given(files)
def test_any_file(data: bytes) -> None:
    """Understood, or refused with sentences that name what is wrong, and never with a secret."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        file.write_bytes(data)
        try:
            load(file, environ={}, cwd=Path(folder))
        except SettingsError as error:
            assert str(error)  # noqa: PT017 - only some inputs raise
