"""The gateway's sign of life, and in it what only the gateway can know."""

from __future__ import annotations

from datetime import datetime

from attrs import define, field

from galaxy_core.domain.operations import ChannelSign, Heartbeat
from galaxy_core.services.gateway.config import GatewayConfig, GatewayPorts
from galaxy_core.services.store_sign import StoreSign


@define
class Pacemaker:
    """Beats in every folder that the gateway serves."""

    _config: GatewayConfig
    _ports: GatewayPorts
    _store: StoreSign
    _pid: int | None
    _version: str
    _started_at: datetime = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started_at = self._ports.clock.now()

    async def keep_beating(self) -> None:
        """Beat until cancelled."""
        while True:
            await self.beat("running")
            await self._ports.clock.sleep(self._config.heartbeat_every)

    async def beat(self, status: str) -> None:
        """Beat once."""
        now, reports = self._ports.clock.now(), self._ports.reports
        heartbeat = Heartbeat(
            daemon="gateway",
            status=status,
            machine=self._config.home,
            started_at=self._started_at,
            last_heartbeat_at=now,
            stopped_at=now if status == "stopped" else None,
            pid=self._pid,
            version=self._version or None,
            channels=tuple(
                reports[name].sign() if name in reports else ChannelSign(name=name)
                for name in self._ports.channels
            ),
            trouble=self._store.trouble(),
        )
        for presence in self._ports.presences:
            await presence.beat(heartbeat)
