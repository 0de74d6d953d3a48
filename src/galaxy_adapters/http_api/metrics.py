"""Figures in Prometheus' text format, written by hand: they come from the trail, not from counters.

A client library counts in the memory of one process, and forgets with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.insight import Figures, Histogram, Level, Overview
from galaxy_core.domain.state import OrderState

__all__ = ["MEDIA_TYPE", "write"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COUNTED: Mapping[str, tuple[str, str]] = {
    "galaxy_order_attempts_given_back_total": (
        AuditType.ORDER_GIVEN_BACK,
        "Attempts that were given back, to be made again.",
    ),
    "galaxy_order_retries_total": (
        AuditType.ORDER_RETRIED,
        "Orders that a person had done once more.",
    ),
    "galaxy_dead_letters_total": (
        AuditType.ORDER_DEAD_LETTERED,
        "Orders that failed at every attempt.",
    ),
    "galaxy_lease_takeovers_total": (
        AuditType.ORDER_TAKEN_OVER,
        "Orders taken over from a worker that died or hung.",
    ),
    "galaxy_letters_delivered_total": (AuditType.LETTER_DELIVERED, "Letters that reached people."),
    "galaxy_letters_undeliverable_total": (
        AuditType.LETTER_UNDELIVERABLE,
        "Letters that reached nobody.",
    ),
    "galaxy_messages_refused_total": (
        AuditType.MESSAGE_REFUSED,
        "Messages of people who may not give orders, or gave too many.",
    ),
    "galaxy_rate_limited_total": (
        AuditType.RATE_LIMITED,
        "Times that a channel asked us to wait (status 429).",
    ),
}

Samples = Iterable[tuple[Mapping[str, str], float]]


def write(figures: Figures, overview: Overview, *, version: str) -> str:
    """Write all figures."""
    machines = overview.machines
    families = [
        _family(
            "galaxy_build_info", "gauge", "The version that runs.", [({"version": version}, 1)]
        ),
        _family(
            "galaxy_healthy",
            "gauge",
            "1: well, 0.5: somebody should look, 0: something does not work.",
            [({}, _LEVELS[overview.level])],
        ),
        _family(
            "galaxy_orders",
            "gauge",
            "Orders by machine and state, ended ones included.",
            [
                ({"machine": machine.name, "state": state.value}, figures.orders.get(key, 0))
                for machine in machines
                for state in OrderState
                for key in [(machine.name, state)]
            ],
        ),
        _family(
            "galaxy_oldest_order_age_seconds",
            "gauge",
            "Age of the order that has waited longest; 0 when none waits.",
            [
                ({"machine": m.name}, figures.oldest_waiting.get(m.name, _NONE).total_seconds())
                for m in machines
            ],
        ),
        _family(
            "galaxy_hermes_up",
            "gauge",
            "Whether the machine's Hermes gives signs of life.",
            [({"machine": name}, int(is_up)) for name, is_up in figures.is_agent_up.items()],
        ),
        _family(
            "galaxy_opencode_up",
            "gauge",
            "Whether a Hermes takes orders, and its agent answered when it was asked last.",
            [
                ({"machine": m.name}, int(is_up and m.heartbeat.takes_orders))
                for m in machines
                if m.heartbeat is not None and m.heartbeat.dispatcher != "scripted"
                for is_up in [figures.is_agent_up.get(m.name, False)]
            ],
        ),
        _family(
            "galaxy_gateway_up",
            "gauge",
            "Whether the gateway runs; absent where there is none.",
            [] if overview.is_gateway_up is None else [({}, int(overview.is_gateway_up))],
        ),
        _family(
            "galaxy_outbox_letters",
            "gauge",
            "Letters that wait to be delivered.",
            [({"machine": m.name}, m.outbox) for m in machines],
        ),
        _family(
            "galaxy_disk_free_bytes",
            "gauge",
            "Room on the disk of the machine's folder.",
            [({"machine": m.name}, m.disk_free_bytes) for m in machines],
        ),
        _histogram(
            "galaxy_order_run_seconds", "How long orders ran, to their end.", figures.run_seconds
        ),
        _histogram(
            "galaxy_letter_delivery_seconds",
            "From the end of an order to the receipt of its letter.",
            figures.delivery_seconds,
        ),
        *(
            _family(name, "counter", text, [({}, figures.events.get(kind, 0))])
            for name, (kind, text) in _COUNTED.items()
        ),
        _family(
            "galaxy_audit_events_total",
            "counter",
            "Lines of the audit trail by event type.",
            [({"event_type": kind}, n) for kind, n in sorted(figures.events.items())],
        ),
    ]
    return "".join(families)


_NONE = timedelta(0)
_LEVELS = {Level.WELL: 1, Level.DOUBTFUL: 0.5, Level.UNWELL: 0}


def _family(name: str, kind: str, text: str, samples: Samples) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _histogram(name: str, text: str, histogram: Histogram) -> str:
    bounds = [*map(_number, histogram.bounds), "+Inf"]
    lines = [f"# HELP {name} {text}", f"# TYPE {name} histogram"]
    lines += [
        f'{name}_bucket{{le="{bound}"}} {count}'
        for bound, count in zip(bounds, histogram.counts, strict=True)
    ]
    lines += [
        f"{name}_sum {_number(histogram.total_seconds)}",
        f"{name}_count {histogram.counts[-1]}",
    ]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
