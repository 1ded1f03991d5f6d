"""The one error tree. Each class has a stable ``code``; its docstring is the default message.

CarnetError
├── Refusal                  an expected answer that a client can act on
│   ├── Unauthenticated      no valid session
│   ├── SignInFailed         wrong login or password, never saying which
│   ├── RateLimited          too many attempts; ``retry_after`` in seconds
│   ├── NotFound             it does not exist or it is not yours: the two are one
│   ├── AccessDenied         visible, but this action is not allowed; ``rule`` decided
│   ├── ValidationFailed     the input is wrong; ``path`` says where
│   │   ├── BadCursor        not a cursor of this list in this order
│   │   └── BadId            not an id of this kind of object
│   ├── CertificateRefused   a signed certificate does not hold; ``fault`` says why
│   ├── Conflict             it was changed meanwhile, or the key was used for something else
│   ├── CursorExpired        a place in a stream that is no longer kept, or never was
│   ├── AccessEnded          what was being followed is no longer theirs to see
│   ├── ServerStopping       this server stops; another takes over
│   ├── Unavailable          the database does not answer just now
│   │   └── TookTooLong      it stopped a statement at its bound
│   ├── RightsChanged        a right was lost between reading and answering
│   ├── RecordClosed         the record's state allows no such action
│   ├── RecordNotOpen        the record opens later; ``opens_at`` says when
│   ├── EnrolmentFailed      no record goes with this number, date and code, never saying which
│   ├── StaleChain           the chain has grown; ``number`` is its newest entry's
│   ├── StaleControlHead     the thread's log has grown; ``number`` is its newest entry's
│   ├── StaleSequence        the device has written more; ``expected`` is its next number
│   ├── RotationDue          the thread needs a new epoch before anything is written
│   ├── ThreadClosed         nothing more is written in the thread
│   ├── NotAllowedToOpen     such a thread is not theirs to open; ``rule`` decided
│   ├── QuotaExceeded        a bound on size or number is reached
│   ├── OperationTooCostly   more than one operation may cost; ``cost`` and ``limit`` say
│   ├── OperationNotTrusted  not a registered operation, where only those are served
│   ├── PersistedQueryNotFound  no operation is registered under this hash
│   ├── PayloadTooLarge      one body is larger than allowed
│   └── UnsupportedMediaType no reader for this content type
├── ContentUnavailable       the store cannot give or take content
│   ├── ContentCorrupted     what is on disk is not what was stored; nothing of it is served
│   └── StorageFull          the blob store has no room
└── UserMistake              a wrong command line or setting: one clear line, no traceback
"""

from __future__ import annotations

from datetime import datetime


class CarnetError(Exception):
    """Something went wrong."""

    code = "INTERNAL"

    def __init__(self, message: str | None = None, *, path: tuple[str, ...] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.path = path
        super().__init__(self.message)


class Refusal(CarnetError):
    """This is refused."""

    code = "REFUSED"


class Unauthenticated(Refusal):
    """Sign in first: no valid session came with this request."""

    code = "UNAUTHENTICATED"


class SignInFailed(Refusal):
    """The login or the password is wrong."""

    code = "SIGN_IN_FAILED"


class RateLimited(Refusal):
    """Too many attempts; wait before trying again."""

    code = "RATE_LIMITED"

    def __init__(self, message: str | None = None, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class NotFound(Refusal):
    """There is no such thing, or it is not yours to see."""

    code = "NOT_FOUND"


class AccessDenied(Refusal):
    """This action is not allowed."""

    code = "ACCESS_DENIED"

    def __init__(self, rule: str, message: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule


class ValidationFailed(Refusal):
    """The input is not valid."""

    code = "VALIDATION_FAILED"


class BadCursor(ValidationFailed):
    """This is not a cursor of this list in this order."""

    code = "BAD_CURSOR"


class BadId(ValidationFailed):
    """This is not an id that Carnet gave to such an object."""

    code = "BAD_ID"


class CertificateRefused(Refusal):
    """The certificate does not hold."""

    code = "CERTIFICATE_REFUSED"

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message, path=("certificate",))
        self.fault = fault


class Conflict(Refusal):
    """It was changed meanwhile, or this key was already used for something else."""

    code = "CONFLICT"


class CursorExpired(Refusal):
    """This cursor is too old, or not of this history: subscribe without it, then read again."""

    code = "CURSOR_EXPIRED"


class AccessEnded(Refusal):
    """Your access to this has ended."""

    code = "ACCESS_ENDED"


class ServerStopping(Refusal):
    """This server is stopping: reconnect, and go on from your last cursor."""

    code = "SERVER_STOPPING"


class Unavailable(Refusal):
    """This is out of reach for the moment: come again soon, and go on from your last cursor."""

    code = "UNAVAILABLE"


class TookTooLong(Unavailable):
    """This took too long and was stopped: ask for less, or come again later."""


class RightsChanged(Refusal):
    """Your rights changed while this was read; ask again."""

    code = "RIGHTS_CHANGED"


class RecordClosed(Refusal):
    """The record is not open to this action."""

    code = "RECORD_CLOSED"


class RecordNotOpen(Refusal):
    """The record is not open yet."""

    code = "RECORD_NOT_OPEN"

    def __init__(self, opens_at: datetime, message: str | None = None) -> None:
        super().__init__(message)
        self.opens_at = opens_at


class EnrolmentFailed(Refusal):
    """No record goes with this number, date of birth and enrolment code."""

    code = "ENROLMENT_FAILED"


class StaleChain(Refusal):
    """The account's chain has grown: read what followed, then again."""

    code = "STALE_CHAIN"

    def __init__(self, *, number: int) -> None:
        super().__init__()
        self.number = number


class StaleControlHead(Refusal):
    """The thread's control log has grown: read what followed, then again."""

    code = "STALE_CONTROL_HEAD"

    def __init__(self, *, number: int, entries: tuple[object, ...] = ()) -> None:
        super().__init__()
        self.number = number
        self.entries = entries  # what followed, from the first that the client may not know


class StaleSequence(Refusal):
    """The device has written more than this, perhaps from a copy of its state."""

    code = "STALE_SEQUENCE"

    def __init__(self, *, expected: int) -> None:
        super().__init__()
        self.expected = expected


class RotationDue(Refusal):
    """The thread needs a new epoch before anything is written."""

    code = "ROTATION_DUE"


class ThreadClosed(Refusal):
    """The exchanges are over: nothing more is written here."""

    code = "THREAD_CLOSED"


class NotAllowedToOpen(Refusal):
    """Such a thread is not yours to open."""

    code = "NOT_ALLOWED_TO_OPEN"

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule


class QuotaExceeded(Refusal):
    """A limit on size or number is reached."""

    code = "QUOTA_EXCEEDED"

    def __init__(
        self,
        message: str | None = None,
        *,
        path: tuple[str, ...] = (),
        until: datetime | None = None,
    ) -> None:
        super().__init__(message, path=path)
        self.until = until  # None where waiting does not help


class OperationTooCostly(Refusal):
    """This operation may cost more than one operation is allowed to."""

    code = "OPERATION_TOO_COSTLY"

    def __init__(self, cost: int, limit: int) -> None:
        super().__init__(
            f"This operation costs {cost} and one may cost at most {limit}: ask for smaller pages."
        )
        self.cost = cost
        self.limit = limit


class OperationNotTrusted(Refusal):
    """Only registered operations are served here."""

    code = "OPERATION_NOT_TRUSTED"


class PersistedQueryNotFound(Refusal):
    """No operation is registered under this hash."""

    code = "PERSISTED_QUERY_NOT_FOUND"


class PayloadTooLarge(Refusal):
    """The body is larger than allowed."""

    code = "PAYLOAD_TOO_LARGE"


class UnsupportedMediaType(Refusal):
    """No reader for this content type."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class ContentUnavailable(CarnetError):
    """The content cannot be read or written now."""

    code = "CONTENT_UNAVAILABLE"


class ContentCorrupted(ContentUnavailable):
    """The stored content was altered; it is not served."""

    code = "CONTENT_CORRUPTED"


class StorageFull(ContentUnavailable):
    """The blob store has no room left."""

    code = "STORAGE_FULL"


class UserMistake(CarnetError):
    """The command or a setting is wrong."""

    code = "USER_MISTAKE"
