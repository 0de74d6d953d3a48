"""The Bot API server as a process of its own: `python -m galaxy_core.testing.bot_api --help`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from galaxy_core.testing.bot_api.control import Control
from galaxy_core.testing.bot_api.server import TOKEN, BotApiServer


def main() -> None:
    """Serve until TERM or INT."""
    parser = argparse.ArgumentParser(
        prog="python -m galaxy_core.testing.bot_api", description=__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", default=TOKEN, help="the bot's token; not a real one")
    parser.add_argument("--state", type=Path, help="keep everything in this file")
    parser.add_argument("--seed", type=int, default=0, help="for faults by probability")
    options = parser.parse_args()
    asyncio.run(_serve(options))


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = BotApiServer(
        token=options.token, port=options.port, state_file=options.state, seed=options.seed
    )
    server.control = Control(server)
    async with server:
        sys.stdout.write(f"Bot API server listening on {server.address}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
