"""The OpenAPI 3.1 document, made from the operations that the routes are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from galaxy_adapters._web.problems import MEDIA_TYPE as PROBLEM_JSON
from galaxy_adapters.http_api.bodies import MAX_BODY
from galaxy_adapters.http_api.documents.problem import ProblemDocument
from galaxy_adapters.http_api.documents.progress import ProgressDocument, TextDocument
from galaxy_adapters.http_api.operations import Answer, Operation
from galaxy_adapters.http_api.parameters import Parameter
from galaxy_adapters.http_api.schema import components, reference
from galaxy_core.domain.order import Priority
from galaxy_core.wire.fields import MAX_WORD

__all__ = ["describe"]

_EVERYWHERE = (400, 401, 403, 413, 421, 500, 503)
"""Problems that any operation may answer with: the door's, and a store that refuses."""


def describe(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """Write the document."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path.replace(":path}", "}"), {})[operation.method.lower()] = (
            _operation(operation)
        )
    documents = {a.document for op in operations for a in op.answers.values() if a.document}
    schemas = components(
        *sorted(documents, key=lambda kind: kind.__name__),
        ProblemDocument,
        ProgressDocument,
        TextDocument,
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Galaxy Protocol",
            "version": version,
            "description": (
                "Orders for a coding agent: hand in, watch, wait for, cancel, try again."
                " Everything needs the token of `web.token`; only what says so is open on loopback."
                " Errors are problem details (RFC 9457) whose `detail` says what to do."
            ),
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "NewOrder": _NEW_ORDER},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    responses = {str(code): _answer(each) for code, each in operation.answers.items()}
    for code in sorted({*_EVERYWHERE, *operation.problems}):
        responses.setdefault(str(code), _problem(code))
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": responses,
    }
    if operation.description:
        described["description"] = operation.description
    if operation.takes_order:
        described["requestBody"] = {
            "required": True,
            "description": f"One order, as in its file; at most {MAX_BODY:,} bytes.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewOrder"}}},
        }
    if operation.is_open:
        described["security"] = [{}, {"token": []}]
    return described


def _parameter(parameter: Parameter[object]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.place == "path",
        "schema": parameter.schema(),
    }


def _answer(each: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": each.description}
    if each.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in each.headers.items()
        }
    if each.has_body:
        plain = {"type": "object" if each.media_type == "application/json" else "string"}
        schema = reference(each.document) if each.document else plain
        # A schema of a stream is read by some as the whole text's, by others as each event's.
        is_stream = each.media_type == "text/event-stream"
        described["content"] = {each.media_type: {} if is_stream else {"schema": schema}}
    return described


def _problem(code: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(code).phrase,
        "content": {PROBLEM_JSON: {"schema": reference(ProblemDocument)}},
    }


def _word(text: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "maxLength": MAX_WORD, "description": text}


_TIME: Mapping[str, Any] = {
    "description": "ISO 8601, or seconds since the epoch.",
    "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}],
}
_NEW_ORDER: Mapping[str, Any] = {
    "type": "object",
    "description": "An order. Members that nobody knows are kept.",
    "additionalProperties": True,
    "properties": {
        "payload": {
            "type": ["string", "null"],
            "description": "What is to be done; reaches the agent byte for byte.",
        },
        "order_id": _word("The id; absent: it gets one."),
        "type": {"enum": ["galaxy_order", None]},
        "from": _word("Who asks: for people, not for access."),
        "person_id": _word("Who asks, under the id that the channel gives them."),
        "target": _word("The machine asked for; absent: the default one."),
        "command": _word("Which agent answers; `general` or absent: the default one."),
        "agent": _word("Which agent answers."),
        "model": _word("Which model the agent asks."),
        "timestamp": _TIME,
        "priority": {"enum": [*(priority.word for priority in Priority), None]},
        "project": _word("A project of the settings."),
        "media": {
            "type": ["array", "null"],
            "description": "Attachments: each has either a path on the machine or a URL.",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "url": {"type": "string"},
                    "name": {"type": "string"},
                    "mime": {"type": "string"},
                },
            },
        },
        "channel": _word("The channel on which the answer goes."),
        "chat_id": _word("The chat in which the answer goes; absent: to everybody."),
        "topic": _word("The topic of the chat."),
        "reply_to": _word("The message that is answered."),
        "session": _word("The conversation; else channel and chat, else the machine's own."),
        "not_before": {**_TIME, "description": "It waits until then."},
        "expires_at": {**_TIME, "description": "From then on it is not begun."},
        "timeout_s": {
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "description": "Longest run in seconds.",
        },
        "idempotency_key": _word("The same key is the same order."),
        "after": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "description": "Ids of orders that must have succeeded before it begins.",
        },
        "markers": {
            "type": ["boolean", "null"],
            "description": "`false`: marks in the payload (🔴 ⏰2h #project) are text.",
        },
        "acknowledged": {"enum": [False, None]},
    },
}
