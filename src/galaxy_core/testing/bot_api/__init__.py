"""A strict local Bot API server: test a Telegram bot against it, without Telegram.

    async with BotApiServer() as server:
        ann = server.person("Ann")
        bot = Bot(server.token, base_url=server.base_url, base_file_url=server.base_file_url)
        ann.writes("hello")
        ...
        assert server.texts(ann) == ["hello, Ann"]

Strict means: what Telegram refuses is refused here with the same words (lengths, entities,
buttons, topics, edits that change nothing, presses answered late), what Telegram forgets only on
the next poll is forgotten only then, and nothing is more helpful than the original.  `plan` lets
calls fail in the ways networks do, before and after they took effect; `limit` switches flood
control on.  People write, press, edit, forward, send files and albums, in private chats, groups,
topics and channels.

As a process of its own, for tests that kill: `python -m galaxy_core.testing.bot_api --port 0
--state FILE`; everything above is then done over HTTP, see `control`.
"""

from galaxy_core.testing.bot_api.faults import Fault
from galaxy_core.testing.bot_api.people import Group, Person
from galaxy_core.testing.bot_api.rates import RateLimits
from galaxy_core.testing.bot_api.seen import Seen, SeenButton, SeenFile
from galaxy_core.testing.bot_api.server import BotApiServer
from galaxy_core.testing.bot_api.state import Call

__all__ = [
    "BotApiServer",
    "Call",
    "Fault",
    "Group",
    "Person",
    "RateLimits",
    "Seen",
    "SeenButton",
    "SeenFile",
]
