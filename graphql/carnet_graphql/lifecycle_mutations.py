"""What people do to the state of a record."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from carnet.errors import NotFound as NotFoundRefusal
from carnet.errors import Unauthenticated as UnauthenticatedRefusal
from carnet.errors import ValidationFailed as ValidationRefusal
from carnet.people.actor import Anonymous
from carnet.records import activation, lifecycle_actions
from carnet.records import lifecycle_queries as queries
from carnet.records.codes import proof_key, reference
from carnet.records.lifecycle import LifeAction
from carnet.records.proofs import ProofKind
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.idempotency import perform
from carnet_graphql.lifecycle import Lifecycle, load_lifecycle
from carnet_graphql.lifecycle_payloads import (
    ActivateRecordInput,
    ActivateRecordPayload,
    ActivateRecordSuccess,
    CancelDeletionInput,
    CancelDeletionPayload,
    CancelDeletionSuccess,
    CloseRecordInput,
    CloseRecordPayload,
    CloseRecordSuccess,
    NewSession,
    OpposeRecordInput,
    OpposeRecordPayload,
    OpposeRecordSuccess,
    ReopenRecordInput,
    ReopenRecordPayload,
    ReopenRecordSuccess,
    RequestDeletionInput,
    RequestDeletionPayload,
    RequestDeletionSuccess,
    ResumeRecordInput,
    ResumeRecordPayload,
    ResumeRecordSuccess,
    ReverseOppositionInput,
    ReverseOppositionPayload,
    ReverseOppositionSuccess,
    SuspendRecordInput,
    SuspendRecordPayload,
    SuspendRecordSuccess,
)
from carnet_graphql.node import read_id, write_id
from carnet_graphql.records import Record, RecordState
from carnet_graphql.scalars import URL
from carnet_graphql.sessions import Session

HolderInput = CloseRecordInput | ReopenRecordInput | RequestDeletionInput | CancelDeletionInput
LetterInput = OpposeRecordInput | ReverseOppositionInput
OperatorInput = SuspendRecordInput | ResumeRecordInput


@strawberry.type
class LifecycleMutation:
    """Mutations of the state of records."""

    @strawberry.mutation(
        description="Activate a record with the code that was sent. Without an account this makes"
        " one and signs in; a repeated call then finds the record activated: sign in."
    )
    async def activate_record(
        self, info: Info, input: ActivateRecordInput
    ) -> ActivateRecordPayload:
        """Activate a record."""
        context = info.context
        if isinstance(context.actor, Anonymous):
            return await _activate_with_letter(info, input)
        wanted = (
            read_id(input.record_id, Record, "recordId") if input.record_id is not None else None
        )
        record_id, attempt_id = await activation.begin(
            context.actor, context.gate, wanted, context.address
        )

        async def act(work: Work) -> UUID:
            return await activation.activate(
                context.actor, context.gate, work, record_id, input.enrolment_code, attempt_id
            )

        done = await perform(info, input, act)
        return ActivateRecordSuccess(
            record_id=write_id(Record, done),
            session=None,
            lifecycle=await load_lifecycle(info, done),
        )

    @strawberry.mutation(
        description="Oppose a record that was announced or opened, for good or until that is"
        " taken back. Without an account, the letter's code suffices."
    )
    async def oppose_record(self, info: Info, input: OpposeRecordInput) -> OpposeRecordPayload:
        """Oppose a record."""
        key, opposed_at = await _oppose(info, input, LifeAction.OPPOSE)
        lifecycle = await load_lifecycle(info, key)
        if lifecycle is not None:
            opposed_at = lifecycle.row.life.opposed_at
        server_key = info.context.gate.server_key
        return OpposeRecordSuccess(
            record_id=write_id(Record, key),
            opposed_at=opposed_at,
            reference=_reference(info, key, ProofKind.OPPOSITION, opposed_at),
            proof_url=_proof_url(key, "opposition-proof"),
            proof_key=(
                proof_key(server_key, key, opposed_at) if input.letter and opposed_at else None
            ),
            lifecycle=lifecycle,
        )

    @strawberry.mutation(
        description="Take an opposition back, at any time; the record opens at once."
    )
    async def reverse_opposition(
        self, info: Info, input: ReverseOppositionInput
    ) -> ReverseOppositionPayload:
        """Take an opposition back."""
        key, _ = await _oppose(info, input, LifeAction.REVERSE_OPPOSITION)
        return ReverseOppositionSuccess(
            record_id=write_id(Record, key), lifecycle=await load_lifecycle(info, key)
        )

    @strawberry.mutation(description="Close a record: nobody reads or feeds it any more.")
    async def close_record(self, info: Info, input: CloseRecordInput) -> CloseRecordPayload:
        """Close a record."""
        lifecycle = await _change(info, input, LifeAction.CLOSE)
        key, closed_at = lifecycle.row.record_id, lifecycle.row.life.closed_at
        return CloseRecordSuccess(
            lifecycle=lifecycle,
            reference=_reference(info, key, ProofKind.CLOSING, closed_at),
            proof_url=_proof_url(key, "closing-proof"),
        )

    @strawberry.mutation(
        description="Open a closed record again, with everything in it. Of a deleted one nothing"
        " is left: this makes a fresh one."
    )
    async def reopen_record(self, info: Info, input: ReopenRecordInput) -> ReopenRecordPayload:
        """Reopen a record."""
        return ReopenRecordSuccess(lifecycle=await _change(info, input, LifeAction.REOPEN))

    @strawberry.mutation(
        description="Have a record deleted in 30 days; until then it can be taken back."
    )
    async def request_deletion(
        self, info: Info, input: RequestDeletionInput
    ) -> RequestDeletionPayload:
        """Ask for deletion."""
        lifecycle = await _change(info, input, LifeAction.REQUEST_DELETION)
        return RequestDeletionSuccess(lifecycle=lifecycle)

    @strawberry.mutation(description="Take back a request for deletion.")
    async def cancel_deletion(
        self, info: Info, input: CancelDeletionInput
    ) -> CancelDeletionPayload:
        """Take the request back."""
        lifecycle = await _change(info, input, LifeAction.CANCEL_DELETION)
        return CancelDeletionSuccess(lifecycle=lifecycle)

    @strawberry.mutation(description="For operators: stop a record because of fraud.")
    async def suspend_record(self, info: Info, input: SuspendRecordInput) -> SuspendRecordPayload:
        """Suspend a record."""
        key, state = await _operate(info, input, LifeAction.SUSPEND)
        return SuspendRecordSuccess(record_id=write_id(Record, key), state=state)

    @strawberry.mutation(description="For operators: bring a suspended record back.")
    async def resume_record(self, info: Info, input: ResumeRecordInput) -> ResumeRecordPayload:
        """Resume a record."""
        key, state = await _operate(info, input, LifeAction.RESUME)
        return ResumeRecordSuccess(record_id=write_id(Record, key), state=state)


async def _activate_with_letter(info: Info, input: ActivateRecordInput) -> ActivateRecordSuccess:
    for name in ("identifier", "birth_date", "login", "password"):
        if getattr(input, name) is None:
            raise ValidationRefusal("Without an account this is needed.", path=(name,))
    assert input.identifier and input.birth_date  # noqa: S101 — narrows for the type checker
    assert input.login is not None and input.password is not None  # noqa: S101 — the same
    letter = activation.Letter(
        input.identifier.identifier(), input.birth_date, input.enrolment_code
    )
    context = info.context
    opened, record_id = await activation.activate_with_letter(
        context.gate, letter, input.login, input.password, context.address
    )
    return ActivateRecordSuccess(
        record_id=write_id(Record, record_id),
        session=NewSession(
            token=opened.token,
            session_id=write_id(Session, opened.session_id),
            expires_at=opened.expires_at,
        ),
        lifecycle=None,
    )


async def _oppose(
    info: Info, input: LetterInput, action: LifeAction
) -> tuple[UUID, datetime | None]:
    """Act with the letter or the session; return the record and, with the letter, since when."""
    context = info.context
    if input.letter is not None:
        if input.record_id is not None:
            raise ValidationRefusal("Give the record or the letter.", path=("recordId",))
        held = await activation.change_with_letter(
            context.gate, input.letter.letter(), action, context.address
        )
        context.forget()
        return held.record.id, held.life.opposed_at
    if isinstance(context.actor, Anonymous):
        raise UnauthenticatedRefusal()
    if input.record_id is None:
        raise ValidationRefusal("Give the record or the letter.", path=("recordId",))
    record_id = read_id(input.record_id, Record, "recordId")

    async def act(work: Work) -> UUID:
        return await lifecycle_actions.change(context.actor, work, record_id, action)

    return await perform(info, input, act), None


async def _change(info: Info, input: HolderInput, action: LifeAction) -> Lifecycle:
    record_id = read_id(input.record_id, Record, "recordId")

    async def act(work: Work) -> UUID:
        return await lifecycle_actions.change(info.context.actor, work, record_id, action)

    done = await perform(info, input, act)
    lifecycle = await load_lifecycle(info, done)
    if lifecycle is None:  # the right to know of it ended with the transaction
        raise NotFoundRefusal()
    return lifecycle


async def _operate(
    info: Info, input: OperatorInput, action: LifeAction
) -> tuple[UUID, RecordState]:
    if (input.record_id is None) == (input.identifier is None):
        raise ValidationRefusal("Give the record or its holder's number.", path=("recordId",))
    wanted = read_id(input.record_id, Record, "recordId") if input.record_id is not None else None
    number = input.identifier.identifier() if input.identifier else None
    actor = info.context.actor

    async def act(work: Work) -> UUID:
        record_id = wanted
        if record_id is None and number is not None:
            record_id = await lifecycle_actions.find_record(actor, work, number)
        assert record_id is not None  # noqa: S101 — one of the two was given
        if action is LifeAction.SUSPEND:
            return await lifecycle_actions.suspend(actor, work, record_id)
        return await lifecycle_actions.resume(actor, work, record_id)

    done = await perform(info, input, act)
    async with info.context.database.read() as work:
        state, _ = await queries.state_of(actor, work, done)
    return done, state


def _reference(info: Info, record_id: UUID, kind: ProofKind, at: datetime | None) -> str | None:
    return reference(info.context.gate.server_key, record_id, kind.value, at) if at else None


def _proof_url(record_id: UUID, name: str) -> URL:
    return URL(f"/records/{write_id(Record, record_id)}/{name}")
