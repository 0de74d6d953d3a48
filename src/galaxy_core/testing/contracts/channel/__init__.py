"""The contract of `Channel`.

An adapter's author provides a `ChannelHarness` and declares `ChannelFeatures`.
"""

from __future__ import annotations

from typing import ClassVar

from galaxy_core.testing.contracts.channel.harness import ChannelFeatures, ChannelHarness
from galaxy_core.testing.contracts.channel.hearing import HearingContract
from galaxy_core.testing.contracts.channel.sending import SendingContract
from galaxy_core.testing.contracts.channel.showing import ShowingContract

__all__ = ["ChannelContract", "ChannelFeatures", "ChannelHarness"]


class ChannelContract(HearingContract, SendingContract, ShowingContract):
    """Everything that a `Channel` owes gateway and courier."""

    features: ClassVar[ChannelFeatures] = ChannelFeatures()
