"""Refusals as GraphQL types: the one place that maps `carnet.errors` to the schema.

A mutation declares in its payload union which refusals a client can meet; its resolver simply
raises, and `EXCEPTION_HANDLERS` turn the exception into the member of the union::

    DepositDocumentPayload = Annotated[
        DepositDocumentSuccess | ValidationFailed | Conflict | RecordClosed | NotFound,
        strawberry.union("DepositDocumentPayload", description="…"),
    ]

A refusal that the union does not name, and every refusal of a query, becomes a top-level error
with its code in ``extensions.code`` (see `carnet_graphql.masking`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from carnet import errors
from carnet.certificates.certificate import Fault

if TYPE_CHECKING:
    from carnet_graphql.messaging_threads import ControlEntry

LazyControlEntry = Annotated["ControlEntry", strawberry.lazy("carnet_graphql.messaging_threads")]


@strawberry.enum(description="Why something was refused. Codes are stable.")
class ErrorCode(Enum):
    """The codes of all refusals, with the first line of each refusal's docstring."""

    UNAUTHENTICATED = strawberry.enum_value(
        "UNAUTHENTICATED", description="No valid session came with the request."
    )
    SIGN_IN_FAILED = strawberry.enum_value(
        "SIGN_IN_FAILED", description="The login or the password is wrong."
    )
    RATE_LIMITED = strawberry.enum_value(
        "RATE_LIMITED", description="Too many attempts; wait before trying again."
    )
    NOT_FOUND = strawberry.enum_value(
        "NOT_FOUND", description="There is no such thing, or it is not yours to see."
    )
    ACCESS_DENIED = strawberry.enum_value(
        "ACCESS_DENIED", description="You may see it, but this action is not allowed."
    )
    VALIDATION_FAILED = strawberry.enum_value(
        "VALIDATION_FAILED", description="The input is not valid."
    )
    CERTIFICATE_REFUSED = strawberry.enum_value(
        "CERTIFICATE_REFUSED", description="The certificate does not hold."
    )
    BAD_CURSOR = strawberry.enum_value(
        "BAD_CURSOR", description="Not a cursor of this list in this order."
    )
    BAD_ID = strawberry.enum_value(
        "BAD_ID", description="Not an id that Carnet gave to such an object."
    )
    CONFLICT = strawberry.enum_value(
        "CONFLICT",
        description="It was changed meanwhile, or the idempotency key was used for something else.",
    )
    CURSOR_EXPIRED = strawberry.enum_value(
        "CURSOR_EXPIRED",
        description="A place in a stream that is no longer kept: subscribe without it, then read"
        " again.",
    )
    ACCESS_ENDED = strawberry.enum_value(
        "ACCESS_ENDED", description="What you followed is no longer yours to see."
    )
    SERVER_STOPPING = strawberry.enum_value(
        "SERVER_STOPPING", description="Reconnect, and go on from your last cursor."
    )
    UNAVAILABLE = strawberry.enum_value(
        "UNAVAILABLE", description="Come again soon, and go on from your last cursor."
    )
    RIGHTS_CHANGED = strawberry.enum_value(
        "RIGHTS_CHANGED", description="A right was lost while this was read; ask again."
    )
    RECORD_CLOSED = strawberry.enum_value(
        "RECORD_CLOSED", description="The record's state allows no such action."
    )
    RECORD_NOT_OPEN = strawberry.enum_value(
        "RECORD_NOT_OPEN", description="The record opens later."
    )
    ENROLMENT_FAILED = strawberry.enum_value(
        "ENROLMENT_FAILED",
        description="No record goes with this number, date of birth and enrolment code.",
    )
    STALE_CHAIN = strawberry.enum_value(
        "STALE_CHAIN", description="The account's chain has grown: read on, then again."
    )
    STALE_CONTROL_HEAD = strawberry.enum_value(
        "STALE_CONTROL_HEAD", description="The thread's log has grown: read on, then again."
    )
    STALE_SEQUENCE = strawberry.enum_value(
        "STALE_SEQUENCE", description="The device has written more than this."
    )
    ROTATION_DUE = strawberry.enum_value(
        "ROTATION_DUE", description="The thread needs a new epoch before anything is written."
    )
    THREAD_CLOSED = strawberry.enum_value(
        "THREAD_CLOSED", description="Nothing more is written in this thread."
    )
    NOT_ALLOWED_TO_OPEN = strawberry.enum_value(
        "NOT_ALLOWED_TO_OPEN", description="Such a thread is not yours to open."
    )
    QUOTA_EXCEEDED = strawberry.enum_value(
        "QUOTA_EXCEEDED", description="A limit on size or number is reached."
    )
    OPERATION_TOO_COSTLY = strawberry.enum_value(
        "OPERATION_TOO_COSTLY", description="One operation may not cost as much: ask for less."
    )
    OPERATION_NOT_TRUSTED = strawberry.enum_value(
        "OPERATION_NOT_TRUSTED", description="Only registered operations are served here."
    )
    PERSISTED_QUERY_NOT_FOUND = strawberry.enum_value(
        "PERSISTED_QUERY_NOT_FOUND", description="No operation is registered under this hash."
    )
    PAYLOAD_TOO_LARGE = strawberry.enum_value(
        "PAYLOAD_TOO_LARGE", description="The body is larger than allowed."
    )
    UNSUPPORTED_MEDIA_TYPE = strawberry.enum_value(
        "UNSUPPORTED_MEDIA_TYPE", description="No reader for this content type."
    )


@strawberry.interface(description="An expected refusal that a client can act on.")
class UserError:
    """What all refusals have."""

    code: ErrorCode = strawberry.field(description="Why, for programs.")
    message: str = strawberry.field(description="Why, for people, in English.")
    path: list[str] | None = strawberry.field(
        description="Which field of the input is meant, from the outside in."
    )


@strawberry.type(description="No valid session came with the request.")
class Unauthenticated(UserError):
    """See `carnet.errors.Unauthenticated`."""


@strawberry.type(description="The login or the password is wrong; which one is not said.")
class SignInFailed(UserError):
    """See `carnet.errors.SignInFailed`."""


@strawberry.type(description="Too many attempts.")
class RateLimited(UserError):
    """See `carnet.errors.RateLimited`."""

    retry_after: int = strawberry.field(description="Seconds to wait before the next attempt.")


@strawberry.type(description="There is no such thing, or it is not yours: the two are one answer.")
class NotFound(UserError):
    """See `carnet.errors.NotFound`."""


@strawberry.type(description="You may see it, but this action is not allowed.")
class AccessDenied(UserError):
    """See `carnet.errors.AccessDenied`."""

    rule: str = strawberry.field(description="The rule that decided.")


@strawberry.type(description="The input is not valid; `path` says which field.")
class ValidationFailed(UserError):
    """See `carnet.errors.ValidationFailed`."""


@strawberry.type(
    description="It was changed meanwhile, or the idempotency key was used for something else."
)
class Conflict(UserError):
    """See `carnet.errors.Conflict`."""


@strawberry.type(description="The record's state allows no such action.")
class RecordClosed(UserError):
    """See `carnet.errors.RecordClosed`."""


@strawberry.type(description="The record is not open yet.")
class RecordNotOpen(UserError):
    """See `carnet.errors.RecordNotOpen`."""

    opens_at: datetime = strawberry.field(description="When it opens, unless somebody objects.")


@strawberry.type(
    description="No record goes with this number, date of birth and code; which one is not said."
)
class EnrolmentFailed(UserError):
    """See `carnet.errors.EnrolmentFailed`."""


@strawberry.type(description="The account's chain has grown; read what followed, then again.")
class StaleChain(UserError):
    """See `carnet.errors.StaleChain`."""

    number: int = strawberry.field(description="The number of its newest entry.")


@strawberry.type(
    description="The thread's control log has grown: take the entries, then make yours anew."
)
class StaleControlHead(UserError):
    """See `carnet.errors.StaleControlHead`."""

    rows: strawberry.Private[Sequence[Any]]
    number: int = strawberry.field(description="The number of its newest entry.")

    @strawberry.field(
        description="What followed what you know, from the beginning, at most 50 entries; read the"
        " rest from the thread."
    )
    def entries(self) -> list[LazyControlEntry]:
        """Return the entries."""
        from carnet_graphql.messaging_threads import ControlEntry

        return [ControlEntry.of(row) for row in self.rows]


@strawberry.type(description="The device has written more than this.")
class StaleSequence(UserError):
    """See `carnet.errors.StaleSequence`."""

    expected: int = strawberry.field(description="The device's next number in the thread.")


@strawberry.type(description="The thread needs a new epoch before anything is written.")
class RotationDue(UserError):
    """See `carnet.errors.RotationDue`."""


@strawberry.type(description="Nothing more is written in this thread.")
class ThreadClosed(UserError):
    """See `carnet.errors.ThreadClosed`."""


strawberry.enum(Fault, name="CertificateFault", description="Why a certificate is refused.")


@strawberry.type(description="The certificate does not hold.")
class CertificateRefused(UserError):
    """See `carnet.certificates.certificate.Fault`."""

    fault: Fault = strawberry.field(description="What is wrong with it.")


@strawberry.type(description="Such a thread is not yours to open.")
class NotAllowedToOpen(UserError):
    """See `carnet.errors.NotAllowedToOpen`."""

    rule: str = strawberry.field(description="The rule that decided.")


@strawberry.type(description="A limit on size or number is reached.")
class QuotaExceeded(UserError):
    """See `carnet.errors.QuotaExceeded`."""

    until: datetime | None = strawberry.field(
        description="When more is taken again; null where waiting does not help."
    )


@strawberry.type(description="The body is larger than allowed.")
class PayloadTooLarge(UserError):
    """See `carnet.errors.PayloadTooLarge`."""


@strawberry.type(description="No reader for this content type.")
class UnsupportedMedia(UserError):
    """See `carnet.errors.UnsupportedMediaType`."""


ERROR_TYPES: dict[type[errors.Refusal], type[UserError]] = {
    errors.Unauthenticated: Unauthenticated,
    errors.SignInFailed: SignInFailed,
    errors.RateLimited: RateLimited,
    errors.NotFound: NotFound,
    errors.AccessDenied: AccessDenied,
    errors.ValidationFailed: ValidationFailed,
    errors.CertificateRefused: CertificateRefused,
    errors.Conflict: Conflict,
    errors.RecordClosed: RecordClosed,
    errors.RecordNotOpen: RecordNotOpen,
    errors.EnrolmentFailed: EnrolmentFailed,
    errors.StaleChain: StaleChain,
    errors.StaleControlHead: StaleControlHead,
    errors.StaleSequence: StaleSequence,
    errors.RotationDue: RotationDue,
    errors.ThreadClosed: ThreadClosed,
    errors.NotAllowedToOpen: NotAllowedToOpen,
    errors.QuotaExceeded: QuotaExceeded,
    errors.PayloadTooLarge: PayloadTooLarge,
    errors.UnsupportedMediaType: UnsupportedMedia,
}

_EXTRAS: dict[type[errors.Refusal], Callable[[Any], dict[str, Any]]] = {
    errors.RateLimited: lambda error: {"retry_after": error.retry_after},
    errors.AccessDenied: lambda error: {"rule": error.rule},
    errors.CertificateRefused: lambda error: {"fault": Fault(error.fault)},
    errors.RecordNotOpen: lambda error: {"opens_at": error.opens_at},
    errors.StaleChain: lambda error: {"number": error.number},
    errors.StaleControlHead: lambda error: {"number": error.number, "rows": error.entries},
    errors.StaleSequence: lambda error: {"expected": error.expected},
    errors.NotAllowedToOpen: lambda error: {"rule": error.rule},
    errors.QuotaExceeded: lambda error: {"until": error.until},
}


def graphql_path(path: tuple[str, ...]) -> list[str] | None:
    """Return a refusal's path in the schema's spelling, or None when it names no field."""
    return [to_camel_case(name) for name in path] or None


def user_error(error: errors.Refusal) -> UserError:
    """Return the refusal as its GraphQL object."""
    kind = next(kind for kind in type(error).__mro__ if kind in ERROR_TYPES)
    extra = _EXTRAS.get(kind, lambda _: {})(error)
    return ERROR_TYPES[kind](
        code=ErrorCode(error.code), message=error.message, path=graphql_path(error.path), **extra
    )


class RefusalHandler:
    """Answers one kind of refusal with its type, on fields whose payload union names the type."""

    def __init__(self, refusal: type[errors.Refusal], kind: type[UserError]) -> None:
        self.exception_type = refusal
        self.error_type = kind

    def handle(
        self, exception: Exception, *, field: StrawberryField, info: strawberry.Info
    ) -> UserError | None:
        """Return the refusal as its GraphQL object."""
        return user_error(exception) if isinstance(exception, errors.Refusal) else None


EXCEPTION_HANDLERS: list[strawberry.ExceptionHandler[Any]] = [
    RefusalHandler(refusal, kind) for refusal, kind in ERROR_TYPES.items()
]
