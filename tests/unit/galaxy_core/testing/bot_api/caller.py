"""Calls in raw HTTP."""

from typing import Any

import httpx
from attrs import frozen

from galaxy_core.testing.bot_api import BotApiServer


@frozen
class Caller:
    """Calls methods with JSON bodies."""

    server: BotApiServer
    client: httpx.AsyncClient

    def url(self, method: str) -> str:
        """Where a method is."""
        return f"{self.server.base_url}{self.server.token}/{method}"

    async def __call__(self, method: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """The whole answer in JSON."""
        response = await self.client.post(self.url(method), json=arguments)
        answer = response.json()
        assert response.status_code == answer.get("error_code", 200)
        return answer

    async def result(self, method: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """What it gave; fails if it was refused."""
        answer = await self(method, **arguments)
        assert answer["ok"], answer
        return answer["result"]

    async def refusal(self, method: str, **arguments: object) -> str:
        """How it was refused, without the status's words."""
        answer = await self(method, **arguments)
        assert not answer["ok"], answer
        return str(answer["description"]).removeprefix("Bad Request: ")
