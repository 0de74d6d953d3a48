"""A fake opencode: an executable and a server that behave as opencode 1.18.33 was measured to.

    python -m galaxy_core.testing.opencode run|serve|agent list|models|export|import|...

No model is asked: what the agent does stands in the prompt, in the words of
`galaxy_core.testing.script`.  Shell commands, files and todo lists are real.  State lies in
`$XDG_DATA_HOME/opencode/fake.db` and outlives a killed process as the original's does: messages
stay unfinished, tool calls stay `running`, children of the shell stay alive.

Quirks that adapters depend on are kept on purpose: 204 for every `prompt_async`, HTML for unknown
paths, doubled errors and idles, ghosts among the permissions, steering of a busy session, a
model that sticks, a message id that runs once, early requests that are never answered, agents
that fall back in silence, an exit code that says nothing, exports cut at 64 KiB on a pipe, and the
order of messages, which is that of their dates: after the clock was set back the wrong one.

Variables: `FAKE_OPENCODE_START_SECONDS` how long `serve` answers nothing after its port is open,
`FAKE_OPENCODE_RETRY_SECONDS` the first wait before a provider is tried again (0.02, doubled each
time, five times).  Faults of a server: `POST /__fake/fault`, see `server`.  `write_stub` puts a
program called opencode into a folder.
"""

from galaxy_core.testing.opencode.stub import write_stub

__all__ = ["write_stub"]
