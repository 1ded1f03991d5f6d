"""What goes into the mutations of a record's state, and what comes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from carnet.records import activation
from carnet.values import Identifier, PartialDate
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    EnrolmentFailed,
    NotFound,
    RateLimited,
    RecordClosed,
    RecordNotOpen,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key
from carnet_graphql.lifecycle import Lifecycle
from carnet_graphql.records import RecordState
from carnet_graphql.scalars import URL


@strawberry.input(description="A number that some authority gave.")
class IdentifierInput:
    """See `carnet.values.Identifier`."""

    system: str = strawberry.field(description="URI of who gave it; OIDs are `urn:oid:…`.")
    value: str = strawberry.field(description="The number.")

    def identifier(self) -> Identifier:
        """Return the value."""
        return Identifier(self.system, self.value)


@strawberry.input(description="Who you are and the code that you were sent.")
class EnrolmentLetterInput:
    """See `carnet.records.activation.Letter`."""

    identifier: IdentifierInput = strawberry.field(description="Your national health number.")
    birth_date: PartialDate = strawberry.field(description="Your date of birth.")
    enrolment_code: str = strawberry.field(description="The code, with or without hyphens.")

    def letter(self) -> activation.Letter:
        """Return the value."""
        return activation.Letter(self.identifier.identifier(), self.birth_date, self.enrolment_code)


@strawberry.input(
    description="Signed in, the code suffices. Without an account, say who you are and how you"
    " want to sign in."
)
class ActivateRecordInput:
    """Input of `activateRecord`."""

    enrolment_code: str = strawberry.field(description="The code that you were sent.")
    record_id: strawberry.ID | None = strawberry.field(
        default=None, description="Signed in: whose record; by default your own."
    )
    identifier: IdentifierInput | None = strawberry.field(
        default=None, description="Without an account: your national health number."
    )
    birth_date: PartialDate | None = strawberry.field(
        default=None, description="Without an account: your date of birth."
    )
    login: str | None = strawberry.field(
        default=None, description="Without an account: the login you want."
    )
    password: str | None = strawberry.field(
        default=None, description="Without an account: the password you want."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(
    description="Signed in, name the record. Without an account, say what is in your letter."
)
class OpposeRecordInput:
    """Input of `opposeRecord`."""

    record_id: strawberry.ID | None = strawberry.field(default=None, description="The record.")
    letter: EnrolmentLetterInput | None = strawberry.field(
        default=None, description="Without an account: who you are, and the code."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(
    description="Signed in, name the record. Without an account, say what is in your letter."
)
class ReverseOppositionInput:
    """Input of `reverseOpposition`."""

    record_id: strawberry.ID | None = strawberry.field(default=None, description="The record.")
    letter: EnrolmentLetterInput | None = strawberry.field(
        default=None, description="Without an account: who you are, and the code."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which record to close.")
class CloseRecordInput:
    """Input of `closeRecord`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which record to open again.")
class ReopenRecordInput:
    """Input of `reopenRecord`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which record to delete.")
class RequestDeletionInput:
    """Input of `requestDeletion`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which record not to delete.")
class CancelDeletionInput:
    """Input of `cancelDeletion`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A record, by its id or by its holder's number.")
class SuspendRecordInput:
    """Input of `suspendRecord`."""

    record_id: strawberry.ID | None = strawberry.field(default=None, description="The record.")
    identifier: IdentifierInput | None = strawberry.field(
        default=None, description="Or its holder's national health number."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A record, by its id or by its holder's number.")
class ResumeRecordInput:
    """Input of `resumeRecord`."""

    record_id: strawberry.ID | None = strawberry.field(default=None, description="The record.")
    identifier: IdentifierInput | None = strawberry.field(
        default=None, description="Or its holder's national health number."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="You are signed in to a new account of yours.")
class NewSession:
    """The session that an activation without an account opens."""

    token: str = strawberry.field(
        description="Send it as `Authorization: Bearer …`. It is shown only here."
    )
    session_id: strawberry.ID = strawberry.field(description="Names the session.")
    expires_at: datetime = strawberry.field(description="When it ends at the latest.")


@strawberry.type(description="The record is activated.")
class ActivateRecordSuccess:
    """Success of `activateRecord`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    session: NewSession | None = strawberry.field(
        description="A session, where there was none before."
    )
    lifecycle: Lifecycle | None = strawberry.field(
        description="What it is now; null where you are not signed in yet."
    )


@strawberry.type(description="The record will not be opened.")
class OpposeRecordSuccess:
    """Success of `opposeRecord`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    opposed_at: datetime | None = strawberry.field(
        description="Since when; null when it was taken back since."
    )
    reference: str | None = strawberry.field(description="The number on the proof.")
    proof_url: URL = strawberry.field(
        description="Where the proof is, as a PDF: send your session's token or the proof key in"
        " the Authorization header."
    )
    proof_key: str | None = strawberry.field(
        description="Without an account: the key of the proof, while the opposition lasts."
    )
    lifecycle: Lifecycle | None = strawberry.field(
        description="What it is now; null where you are not signed in."
    )


@strawberry.type(description="The record is open after all.")
class ReverseOppositionSuccess:
    """Success of `reverseOpposition`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    lifecycle: Lifecycle | None = strawberry.field(
        description="What it is now; null where you are not signed in."
    )


@strawberry.type(description="The record is closed: an archive for ten years.")
class CloseRecordSuccess:
    """Success of `closeRecord`."""

    lifecycle: Lifecycle = strawberry.field(description="What it is now.")
    reference: str | None = strawberry.field(
        description="The number on the proof; null when it was opened again since."
    )
    proof_url: URL = strawberry.field(description="Where the proof is, as a PDF.")


@strawberry.type(description="The record is what it was, or a fresh one where it was deleted.")
class ReopenRecordSuccess:
    """Success of `reopenRecord`."""

    lifecycle: Lifecycle = strawberry.field(description="What it is now.")


@strawberry.type(description="The record will be deleted; until then it can be taken back.")
class RequestDeletionSuccess:
    """Success of `requestDeletion`."""

    lifecycle: Lifecycle = strawberry.field(description="What it is now.")


@strawberry.type(description="The record stays.")
class CancelDeletionSuccess:
    """Success of `cancelDeletion`."""

    lifecycle: Lifecycle = strawberry.field(description="What it is now.")


@strawberry.type(description="The record is suspended.")
class SuspendRecordSuccess:
    """Success of `suspendRecord`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    state: RecordState = strawberry.field(description="Its state.")


@strawberry.type(description="The record is what it was before it was suspended.")
class ResumeRecordSuccess:
    """Success of `resumeRecord`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    state: RecordState = strawberry.field(description="Its state.")


ActivateRecordPayload = Annotated[
    ActivateRecordSuccess
    | AccessDenied
    | Conflict
    | EnrolmentFailed
    | NotFound
    | RateLimited
    | RecordClosed
    | RecordNotOpen
    | ValidationFailed,
    strawberry.union("ActivateRecordPayload", description="What came of activating."),
]
OpposeRecordPayload = Annotated[
    OpposeRecordSuccess
    | AccessDenied
    | Conflict
    | EnrolmentFailed
    | NotFound
    | RateLimited
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("OpposeRecordPayload", description="What came of opposing."),
]
ReverseOppositionPayload = Annotated[
    ReverseOppositionSuccess
    | AccessDenied
    | Conflict
    | EnrolmentFailed
    | NotFound
    | RateLimited
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ReverseOppositionPayload", description="What came of it."),
]
CloseRecordPayload = Annotated[
    CloseRecordSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("CloseRecordPayload", description="What came of closing."),
]
ReopenRecordPayload = Annotated[
    ReopenRecordSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("ReopenRecordPayload", description="What came of reopening."),
]
RequestDeletionPayload = Annotated[
    RequestDeletionSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("RequestDeletionPayload", description="What came of the request."),
]
CancelDeletionPayload = Annotated[
    CancelDeletionSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("CancelDeletionPayload", description="What came of it."),
]
SuspendRecordPayload = Annotated[
    SuspendRecordSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("SuspendRecordPayload", description="What came of suspending."),
]
ResumeRecordPayload = Annotated[
    ResumeRecordSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ResumeRecordPayload", description="What came of resuming."),
]
