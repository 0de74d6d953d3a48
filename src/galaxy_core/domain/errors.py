"""The one error taxonomy: what a caller may do next is in the class.

`TransientError` means "the same call may succeed later", `PermanentError` means "it will not",
`LeaseLost` means "somebody else holds this order now: stop, write nothing".  Adapters translate
their SDK's failures into these and never retry a whole operation by themselves.

A message says what happened, to which order, and what the reader can do.  It never holds a
token or the text of an order.
"""

from __future__ import annotations

from datetime import timedelta


class GalaxyError(Exception):
    """Root of every error that Galaxy raises on purpose."""


class TransientError(GalaxyError):
    """A passing failure: the same call may succeed later."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """How long the other side asked us to wait; None when it did not say."""


class PermanentError(GalaxyError):
    """A failure that repeating the call cannot mend."""


class LeaseLost(GalaxyError):
    """The delivery belongs to somebody else now; whoever sees this stops and writes nothing."""


class InvalidOrder(PermanentError, ValueError):
    """An order that can be read but must be refused; the message says why."""


class UnreadableFile(PermanentError, ValueError):
    """Bytes that are not the document they should be: they are set aside, never retried."""


class OrderNotFound(PermanentError, LookupError):
    """No order with this id waits, runs or has ended."""


class MachineNotFound(PermanentError, LookupError):
    """No machine that is served here is called so."""


class OrderNotRetryable(PermanentError, ValueError):
    """The order has not ended, or has succeeded, so there is nothing to retry."""


class OrderNotDismissable(PermanentError, ValueError):
    """The order was not given up, so there is nothing to decide."""


class InvalidTransition(GalaxyError, RuntimeError):
    """The state machine was asked for a step that it does not have: a bug in the caller."""


class AlreadyAnswered(PermanentError, FileExistsError):
    """A response for this order is committed already; the first one stands."""


class StorageUnavailable(TransientError, OSError):
    """The store refused a read or a write (no space, read-only, I/O error): nothing happened."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        TransientError.__init__(self, message, retry_after=retry_after)


class UnsupportedFilesystem(PermanentError, OSError):
    """The folder lies where its locks and notifications cannot be trusted."""


class DispatcherUnavailable(TransientError):
    """The agent cannot be reached now; nothing is known to have been started."""


class DispatchRejected(PermanentError):
    """The agent refused the order as it stands (unknown agent, model or command, bad input)."""


class SessionNotFound(PermanentError, LookupError):
    """The agent does not know the session (any more)."""


class RequestNotFound(PermanentError, LookupError):
    """Nobody is waiting for this answer: it was answered before, or the run is over."""


class TrailReplaced(PermanentError, LookupError):
    """The trail is not the one that was read before, or parts of that are gone: begin anew."""


class DeliveryUnknown(TransientError):
    """Nobody can tell whether the other side carried the call out: its answer was lost."""


class ChatUnreachable(PermanentError):
    """The chat does not exist any more, or does not want to hear from us."""
