"""A small agent built in, for first tries and for tests of what stands around an agent.

It asks no model, runs nothing and says so in every answer.
"""

from galaxy_adapters.dispatch_scripted.dispatcher import LABEL, ScriptedDispatcher

__all__ = ["LABEL", "ScriptedDispatcher"]
