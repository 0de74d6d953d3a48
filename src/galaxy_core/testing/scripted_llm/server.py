"""The scripted model's server: counts, the log, failures that come before the answer."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any, TextIO

from galaxy_core.testing import script
from galaxy_core.testing.script import JSON, Action
from galaxy_core.testing.scripted_llm.answers import HangUp, StreamedAnswer, whole_answer
from galaxy_core.testing.scripted_llm.plan import Plan, plan, tool_names

_LOG_LENGTH = 200


class ScriptedModelServer(ThreadingHTTPServer):
    """The scripted model, with what it remembers of its requests."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: tuple[str, int], *, delay: float = 0.0, log: TextIO | None = None
    ) -> None:
        super().__init__(address, _Requests)
        self.delay = delay
        """Seconds between streamed words."""
        self.stopped = threading.Event()
        """Ends every wait of the scripts."""
        self._log = log
        self._lock = threading.Lock()
        self._tries: Counter[tuple[str, int, int]] = Counter()
        self._seen: Counter[str] = Counter()
        self._history: deque[dict[str, JSON]] = deque(maxlen=_LOG_LENGTH)
        self._calls = 0
        self._open = 0

    @property
    def url(self) -> str:
        """Base URL for an OpenAI client."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"

    @property
    def history(self) -> list[dict[str, JSON]]:
        """The last requests, oldest first."""
        with self._lock:
            return list(self._history)

    @property
    def health(self) -> dict[str, JSON]:
        """Requests so far, and requests in flight (`open`)."""
        with self._lock:
            return {"ok": True, "calls": self._calls, "open": self._open}

    def count(self, prompt: str) -> int:
        """How often the model was given `prompt` as the newest message, to begin on it."""
        with self._lock:
            return self._seen[_digest(prompt)]

    def reset(self) -> None:
        """Forget tries, counts and history."""
        with self._lock:
            self._tries.clear()
            self._seen.clear()
            self._history.clear()

    @contextmanager
    def request(self) -> Iterator[int]:
        """Count one request while it is in flight; gives its number, from 1."""
        with self._lock:
            self._calls += 1
            self._open += 1
            number = self._calls
        try:
            yield number
        finally:
            with self._lock:
                self._open -= 1

    def note(self, record: dict[str, JSON], begun: str | None = None) -> None:
        """Add to the history; `begun` is a prompt that the model begins on."""
        with self._lock:
            self._history.append(record)
            if begun is not None:
                self._seen[_digest(begun)] += 1
            if self._log:
                self._log.write(json.dumps(record) + "\n")
                self._log.flush()

    def is_spent(self, prompt: str, step: int, place: int, times: int | None) -> bool:
        """Count one try of a failure; whether it has failed as often as it should."""
        if times is None:
            return False
        key = (_digest(prompt), step, place)
        with self._lock:
            self._tries[key] += 1
            return self._tries[key] > times

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the server's end."""
        self.stopped.wait(seconds)

    def shutdown(self) -> None:
        self.stopped.set()
        super().shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing: clients of a test model come and go."""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedModelServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Keep standard error clean."""

    def do_GET(self) -> None:
        if self.path == "/__log":
            self._reply(200, list(self.server.history))
        elif self.path == "/__health":
            self._reply(200, self.server.health)
        else:
            self._reply(200, {"object": "list", "data": [{"id": "echo", "object": "model"}]})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(raw or b"{}")
        if self.path == "/__reset":
            self.server.reset()
            self._reply(200, {"ok": True})
        elif self.path == "/__count":
            self._reply(200, {"count": self.server.count(body["prompt"])})
        else:
            self._complete(body)

    def _complete(self, body: dict[str, Any]) -> None:
        with self.server.request() as number:
            try:
                self._answer(body, number)
            except (BrokenPipeError, ConnectionResetError):
                self.server.note({"call": number, "end": "client went away"})
                self.close_connection = True
            except HangUp:
                self.close_connection = True
                self.connection.close()

    def _answer(self, body: dict[str, Any], number: int) -> None:
        wanted = plan(body)
        self._note(body, wanted, number)
        live = self._before_the_answer(wanted)
        if live is None:
            return
        base: dict[str, JSON] = {
            "id": f"chatcmpl-{number}",
            "created": int(time.time()),
            "model": body.get("model") or "echo",
        }
        if body.get("stream"):
            StreamedAnswer(
                self._begin_stream(), body, base, wait=self.server.wait, delay=self.server.delay
            ).run(live)
        else:
            self._reply(200, whole_answer(body, live, base, self.server.wait))

    def _begin_stream(self) -> BufferedIOBase:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        return self.wfile

    def _note(self, body: dict[str, Any], wanted: Plan, number: int) -> None:
        record: dict[str, JSON] = {
            "call": number,
            "at": round(time.time(), 3),
            "kind": wanted.kind,
            "step": wanted.step,
            "model": body.get("model"),
            "actions": [[action.word, action.rest[:200]] for action in wanted.actions],
            "user": wanted.prompt[:4000],
            "n": len(body.get("messages", [])),
            "tools": tool_names(body),
        }
        is_begun = wanted.step == 0 and wanted.kind in {"script", "echo"}
        self.server.note(record, wanted.prompt if is_begun else None)

    def _before_the_answer(self, wanted: Plan) -> list[Action] | None:
        """Wait and fail as the script wants before anything is streamed.

        Gives the actions that are left; None when the request has been answered.
        """
        live: list[Action] = []
        for place, action in enumerate(wanted.actions):
            if action.word == "SLEEP" and not live:
                self.server.wait(action.number)
                continue
            if action.word == "FAIL":
                failure = script.failure(action)
                if self.server.is_spent(wanted.prompt, wanted.step, place, failure.times):
                    continue
                if self._failed(failure):
                    return None
            live.append(action)
        return live

    def _failed(self, failure: script.Failure) -> bool:
        if failure.kind == "hangup":
            raise HangUp
        if failure.kind == "garbage":
            self._send(200, b"<html>this is not an event stream</html>", "text/html")
            return True
        if failure.kind == "context":
            self._reply(400, {"error": _CONTEXT_ERROR})
            return True
        if not failure.kind.isdigit():
            return False
        message = failure.message or f"scripted failure {failure.kind}"
        error: JSON = {"message": message, "type": "scripted_error", "code": failure.kind}
        headers = {"retry-after": failure.retry_after} if failure.retry_after else {}
        self._reply(int(failure.kind), {"error": error}, headers)
        return True

    def _reply(self, status: int, content: JSON, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(content).encode(), "application/json", headers)

    def _send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


_CONTEXT_ERROR: JSON = {
    "message": "This model's maximum context length is 128000 tokens. However, your messages "
    "resulted in 999999 tokens.",
    "type": "invalid_request_error",
    "code": "context_length_exceeded",
    "param": "messages",
}


@contextmanager
def running_model(
    *, port: int = 0, host: str = "127.0.0.1", delay: float = 0.0
) -> Iterator[ScriptedModelServer]:
    """Serve in a thread for the length of a `with` block."""
    server = ScriptedModelServer((host, port), delay=delay)
    thread = threading.Thread(
        target=server.serve_forever, args=(0.05,), name="scripted-model", daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
