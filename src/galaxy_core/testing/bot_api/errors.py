"""Refusals, in the words of the real server."""

from __future__ import annotations

from galaxy_core.testing.bot_api.state import Json


class ApiError(Exception):
    """An answer with `ok: false`."""

    def __init__(self, code: int, text: str, parameters: Json | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.parameters = parameters

    def answer(self) -> Json:
        """The body of the answer."""
        body: Json = {"ok": False, "error_code": self.code, "description": self.text}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad_request(text: str) -> ApiError:
    """A refusal with 400; the first letter becomes small as the real server makes it."""
    is_constant = len(text) > 1 and (text[1] == "_" or text[1].isupper())
    return ApiError(400, f"Bad Request: {text if is_constant else text[:1].lower() + text[1:]}")


def flood(seconds: int) -> ApiError:
    """Too many calls: come back in so many seconds."""
    return ApiError(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
