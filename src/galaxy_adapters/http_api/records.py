"""The whole, machines, sessions and the trail, for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

from attrs import define
from starlette.requests import Request
from starlette.responses import Response

from galaxy_adapters.http_api import metrics
from galaxy_adapters.http_api.documents.machines import (
    HealthDocument,
    MachineDocument,
    MachineList,
    OverviewDocument,
    StatusDocument,
)
from galaxy_adapters.http_api.documents.records import AuditList, SessionDocument, SessionList
from galaxy_adapters.http_api.operations import Answer, Operation, answer
from galaxy_adapters.http_api.parameters import Choice, Number, Text, Time
from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.errors import SessionNotFound
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.insight import MachineInsight
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.domain.response import Outcome
from galaxy_core.ports.front_desk import FrontDesk, Insight, Records

__all__ = ["RecordsApi", "status_of"]

SILENCE = timedelta(minutes=2)
"""After so long without a heartbeat a Hermes does not work."""
_NOT_FOUND = HTTPStatus.NOT_FOUND.value

ONE_MACHINE = Text(name="machine", description="A machine's name; absent: the default one.")
MACHINE = Text(name="machine", description="Only lines of this machine.")
TEXT = Text(name="text", description="Stands somewhere in the line, capital or not.")
EVENT_TYPE = Text(name="event_type", description="Only lines of this type.", max_length=100)
SEVERITY = Choice(name="severity", description="Only lines so severe.", kind=AuditSeverity)
SINCE = Time(name="since", description="Only lines from then on.")
CURSOR = Text(name="cursor", description="`cursor` of the page before.")
LIMIT = Number(name="limit", description="At most so many.", default=100, least=1, most=1_000)
CONVERSATION = Text(name="conversation", place="path", description="The conversation's key.")


@define(eq=False)
class RecordsApi:
    """Handlers of all that is no order."""

    _desk: FrontDesk
    _insight: Insight
    _records: Records
    _now: Callable[[], datetime]
    _version: str

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return [
            Operation(
                id="getStatus",
                method="GET",
                path="/api/status",
                handler=self._status,
                summary="One machine at a glance, in the words of the original",
                parameters=(ONE_MACHINE,),
                answers={200: Answer(description="The status.", document=StatusDocument)},
                problems=(_NOT_FOUND,),
                is_open=True,
            ),
            Operation(
                id="getOverview",
                method="GET",
                path="/api/overview",
                handler=self._overview,
                summary="Whether everything is well, and if not, what to do",
                answers={200: Answer(description="Everything.", document=OverviewDocument)},
            ),
            Operation(
                id="listMachines",
                method="GET",
                path="/api/machines",
                handler=self._machines,
                summary="Every machine served here",
                answers={200: Answer(description="Machines.", document=MachineList)},
            ),
            Operation(
                id="listSessions",
                method="GET",
                path="/api/sessions",
                handler=self._sessions,
                summary="Which agent session serves which conversation",
                answers={200: Answer(description="Sessions.", document=SessionList)},
            ),
            Operation(
                id="resetSession",
                method="DELETE",
                path="/api/sessions/{conversation:path}",
                handler=self._reset,
                summary="Forget a conversation's session: its next order begins a new one",
                parameters=(CONVERSATION, ONE_MACHINE),
                answers={204: Answer(description="It is forgotten.", has_body=False)},
                problems=(_NOT_FOUND,),
            ),
            Operation(
                id="searchAudit",
                method="GET",
                path="/api/audit",
                handler=self._audit,
                summary="Search the audit trail, newest first",
                description="A page may be short, or empty, and yet have a cursor: go on.",
                parameters=(TEXT, EVENT_TYPE, SEVERITY, MACHINE, SINCE, CURSOR, LIMIT),
                answers={200: Answer(description="Lines.", document=AuditList)},
                problems=(_NOT_FOUND,),
            ),
            Operation(
                id="getMetrics",
                method="GET",
                path="/metrics",
                handler=self._metrics,
                summary="Figures for Prometheus",
                answers={200: Answer(description="Text format 0.0.4.", media_type="text/plain")},
                is_open=True,
            ),
            Operation(
                id="getHealth",
                method="GET",
                path="/healthz",
                handler=self._health,
                summary="Whether this server answers",
                answers={200: Answer(description="It does.", document=HealthDocument)},
                is_open=True,
            ),
            Operation(
                id="getReadiness",
                method="GET",
                path="/readyz",
                handler=self._ready,
                summary="Whether orders can be taken and seen",
                description="Answers 503 while the files of the machines cannot be read.",
                answers={200: Answer(description="They can.", document=HealthDocument)},
                is_open=True,
            ),
        ]

    async def _status(self, request: Request) -> Response:
        machine = await self._insight.machine(ONE_MACHINE.read(request))
        return answer(status_of(machine, self._now()))

    async def _overview(self, _: Request) -> Response:
        return answer(OverviewDocument.of(await self._insight.overview()))

    async def _machines(self, _: Request) -> Response:
        overview = await self._insight.overview()
        return answer(MachineList(machines=tuple(map(MachineDocument.of, overview.machines))))

    async def _sessions(self, _: Request) -> Response:
        found = await self._records.sessions()
        return answer(SessionList(sessions=tuple(SessionDocument.of(*item) for item in found)))

    async def _reset(self, request: Request) -> Response:
        conversation = CONVERSATION.read(request) or ""
        machine = ONE_MACHINE.read(request)
        if not await self._desk.reset_session(ConversationKey(conversation), machine=machine):
            raise SessionNotFound(
                "There is no session of this conversation: GET /api/sessions lists them."
            )
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _audit(self, request: Request) -> Response:
        page = await self._records.audit(
            text=TEXT.read(request) or "",
            event_type=EVENT_TYPE.read(request),
            severity=SEVERITY.read(request),
            machine=MACHINE.read(request),
            since=SINCE.read(request),
            cursor=CURSOR.read(request),
            limit=int(LIMIT.read(request)),
        )
        return answer(AuditList.of(page))

    async def _metrics(self, _: Request) -> Response:
        overview = await self._insight.overview()
        text = metrics.write(await self._insight.figures(), overview, version=self._version)
        return Response(text.encode("utf-8", "replace"), media_type=metrics.MEDIA_TYPE)

    async def _health(self, _: Request) -> Response:
        return answer(HealthDocument(status="ok"))

    async def _ready(self, _: Request) -> Response:
        await self._insight.overview()
        return answer(HealthDocument(status="ready"))


def status_of(machine: MachineInsight, now: datetime) -> StatusDocument:
    """The original's members, which were in part always the same, as they should have been."""
    ended = {outcome: machine.counts.get(outcome.state, 0) for outcome in Outcome}
    live = sum(n for state, n in machine.counts.items() if not state.is_final)
    beat = machine.heartbeat
    is_up = _is_up(beat, now)
    total = machine.disk_total_bytes
    used = f"{100 * (total - machine.disk_free_bytes) / total:.0f}%" if total else "N/A"
    return StatusDocument(
        pending=live,
        processed=sum(ended.values()),
        failed=ended[Outcome.FAILED] + ended[Outcome.EXPIRED] + ended[Outcome.DEAD],
        uptime_human=_span(now - beat.started_at) if beat is not None and is_up else "N/A",
        opencode_healthy=is_up and beat is not None and beat.takes_orders,
        galaxy_mcp_running=False,
        disk_usage=used,
        outbox_count=machine.outbox,
        machine=machine.name,
        timestamp=f"{now:%H:%M:%S}",
    )


def _is_up(beat: Heartbeat | None, now: datetime) -> bool:
    return beat is not None and beat.status != "stopped" and now - beat.last_heartbeat_at <= SILENCE


def _span(duration: timedelta) -> str:
    """`3d 4h 5m`, as the original promised."""
    minutes = max(0, int(duration.total_seconds())) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days}d"] * bool(days) + [f"{hours}h"] * bool(days or hours) + [f"{minutes}m"]
    return " ".join(parts)
