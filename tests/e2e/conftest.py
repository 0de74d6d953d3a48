"""Fixtures for whole processes: a house with a gateway and a Hermes that many tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from galaxy_core.testing.bot_api.process import BotApiProcess
from tests.e2e.phone import House, Site

PEOPLE = 40
"""So many tests may use the shared house: each has a person, and so a chat, of its own."""


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a gateway and a Hermes that work, on an agent that asks no model."""
    folder = tmp_path_factory.mktemp("house")
    with BotApiProcess(folder, keeps_state=False) as telegram:
        telegram.do("bot", has_topics_enabled=True)
        owners = [telegram.person(f"Owner {number}") for number in range(PEOPLE)]
        viewer, operator = telegram.person("Viewer"), telegram.person("Operator")
        known = [*owners, viewer, operator]
        members = [person.id for person in known]
        forum = telegram.group("Team", members=members, is_forum=True)
        site = Site(
            folder,
            telegram,
            {
                "authorized_users": [person.id or 0 for person in known],
                "roles": {str(viewer.id): "viewer", str(operator.id): "operator"},
                "telegram": {"allowed_groups": [forum.id or 0]},
                "projects": {"garden": {"keywords": ["roses"]}},
                "machines": {"lab": {}, "attic": {"host": "attic.example", "repo_path": "/srv"}},
                "limits": {"payload_characters": 50_000},
                "workers": 8,
            },
        )
        try:
            site.start_gateway()
            site.start_hermes()
            yield House(site, telegram, owners, viewer, operator, forum)
        finally:
            site.stop_all()
