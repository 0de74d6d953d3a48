r"""A scripted model that speaks the OpenAI chat-completions protocol, for tests and demos.

It makes a real agent run real tools, ask real permissions, fail and stall, with the script
written in the user's own prompt (`galaxy_core.testing.script` lists the words)::

    python -m galaxy_core.testing.scripted_llm --port 9921 [--log FILE] [--delay 0.0] [--quiet]

`--port 0` takes a free port; the first line on standard output is
`listening http://127.0.0.1:PORT/v1`.  `galaxy_core.testing.opencode_project` writes an
`opencode.json` that points here.

The place in a script is not kept anywhere: the step is the number of assistant messages after
the last user message, so it survives restarts of agent and model.  Only `FAIL ... xN` counts, in
memory, per prompt.  Requests without tools are an agent's helper calls (titles, summaries): the
script is not run there, unless `HELPER` stands on a line of its own.

Control: `GET /__log` the last requests, `GET /__health`, `POST /__count {"prompt": ...}` how often
that prompt was given to the model, `POST /__reset` forget all of it.
"""

from galaxy_core.testing.scripted_llm.server import ScriptedModelServer, running_model

__all__ = ["ScriptedModelServer", "running_model"]
