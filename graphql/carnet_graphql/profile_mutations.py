"""What a holder states in their medical profile."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from carnet.errors import BadId
from carnet.errors import NotFound as NotFoundRefusal
from carnet.errors import ValidationFailed as ValidationRefusal
from carnet.records import actions
from carnet.records.sections import CODINGS_LIMIT, EntryDraft
from carnet.records.tables import EntryStatus as EntryStatusValue
from carnet.store.database import Work
from carnet.values import PartialDate
from carnet_graphql.codings import CodingInput
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    RecordClosed,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import load_any, read_id, require_node, write_id
from carnet_graphql.profile import SECTION_TYPES, EntryStatus, ProfileEntry, Section
from carnet_graphql.records import Record

DETAILS_LIMIT = 20


@strawberry.input(description="A detail that only some sections have, such as dosage.")
class DetailInput:
    """One name and its text."""

    name: str = strawberry.field(description="Name of the section's own field, such as `dosage`.")
    value: str = strawberry.field(description="What it says.")


@strawberry.input(description="One statement for a section of the profile.")
class ProfileEntryInput:
    """See `carnet.records.sections.EntryDraft`."""

    section: Section = strawberry.field(description="The section; not IMMUNIZATIONS.")
    label: str = strawberry.field(description="What a person reads, 1 to 500 characters.")
    codings: list[CodingInput] | None = strawberry.field(default=None, description="Codes for it.")
    status: EntryStatus = strawberry.field(
        default=EntryStatusValue.ACTIVE, description="Clinical status."
    )
    started_on: PartialDate | None = strawberry.field(
        default=None, description="When it began, as exactly as is known."
    )
    ended_on: PartialDate | None = strawberry.field(
        default=None, description="When it ended, as exactly as is known."
    )
    value: Decimal | None = strawberry.field(
        default=None, description="The number measured; only in MEASUREMENTS."
    )
    unit: str | None = strawberry.field(default=None, description="Its unit, in UCUM.")
    note: str | None = strawberry.field(default=None, description="Further words.")
    details: list[DetailInput] | None = strawberry.field(
        default=None, description="The section's own fields."
    )

    def draft(self) -> EntryDraft:
        """Return the input as the area's draft.

        Raises:
            ValidationFailed: too many codings or details.
        """
        codings, details = self.codings or [], self.details or []
        if len(codings) > CODINGS_LIMIT or len(details) > DETAILS_LIMIT:
            raise ValidationRefusal("Too many codings or details.", path=("entry",))
        return EntryDraft(
            section=self.section,
            label=self.label,
            codings=tuple(coding.value() for coding in codings),
            status=self.status,
            started_on=self.started_on,
            ended_on=self.ended_on,
            value=self.value,
            unit=self.unit,
            note=self.note,
            details={detail.name: detail.value for detail in details},
        )


@strawberry.input(description="A statement to add.")
class AddProfileEntryInput:
    """Input of `addProfileEntry`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    entry: ProfileEntryInput = strawberry.field(description="What is stated.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A statement of yours to change.")
class CorrectProfileEntryInput:
    """Input of `correctProfileEntry`."""

    entry_id: strawberry.ID = strawberry.field(description="The entry.")
    version: int = strawberry.field(description="The version that you saw.")
    entry: ProfileEntryInput = strawberry.field(description="What it should say.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A statement of yours to take back.")
class RemoveProfileEntryInput:
    """Input of `removeProfileEntry`."""

    entry_id: strawberry.ID = strawberry.field(description="The entry.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A section that is empty on purpose.")
class DeclareNothingInput:
    """Input of `declareNothing`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    section: Section = strawberry.field(description="The section.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The statement stands in the profile.")
class AddProfileEntrySuccess:
    """Success of `addProfileEntry`."""

    entry: ProfileEntry = strawberry.field(description="The entry.")


@strawberry.type(description="The statement was changed.")
class CorrectProfileEntrySuccess:
    """Success of `correctProfileEntry`."""

    entry: ProfileEntry = strawberry.field(description="The entry as it is now.")


@strawberry.type(description="The statement was taken back.")
class RemoveProfileEntrySuccess:
    """Success of `removeProfileEntry`."""

    removed_entry_id: strawberry.ID = strawberry.field(description="Its former id.")


@strawberry.type(description="The section is empty on purpose from now on.")
class DeclareNothingSuccess:
    """Success of `declareNothing`."""

    record: Record = strawberry.field(description="The record.")


AddProfileEntryPayload = Annotated[
    AddProfileEntrySuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AddProfileEntryPayload", description="What came of adding a statement."),
]
CorrectProfileEntryPayload = Annotated[
    CorrectProfileEntrySuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("CorrectProfileEntryPayload", description="What came of the correction."),
]
RemoveProfileEntryPayload = Annotated[
    RemoveProfileEntrySuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("RemoveProfileEntryPayload", description="What came of taking it back."),
]
DeclareNothingPayload = Annotated[
    DeclareNothingSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("DeclareNothingPayload", description="What came of the declaration."),
]


def _entry_id(text: str) -> UUID:
    for kind in SECTION_TYPES.values():
        with suppress(BadId):
            return read_id(text, kind)
    raise BadId(path=("entryId",))


async def _entry(info: Info, section: Section, key: UUID) -> ProfileEntry:
    found = await load_any(info.context, write_id(SECTION_TYPES[section], key))
    if not isinstance(found, ProfileEntry):
        raise NotFoundRefusal()
    return found


@strawberry.type
class ProfileMutation:
    """Mutations of the medical profile."""

    @strawberry.mutation(description="State something in a section of your profile.")
    async def add_profile_entry(
        self, info: Info, input: AddProfileEntryInput
    ) -> AddProfileEntryPayload:
        """Add a statement."""
        record_id = read_id(input.record_id, Record, "recordId")
        draft = input.entry.draft()

        async def act(work: Work) -> UUID:
            return (await actions.add_entry(info.context.actor, work, record_id, draft)).id

        key = await perform(info, input, act)
        return AddProfileEntrySuccess(entry=await _entry(info, draft.section, key))

    @strawberry.mutation(description="Change a statement of yours.")
    async def correct_profile_entry(
        self, info: Info, input: CorrectProfileEntryInput
    ) -> CorrectProfileEntryPayload:
        """Correct a statement."""
        entry_id = _entry_id(input.entry_id)
        draft = input.entry.draft()

        async def act(work: Work) -> UUID:
            actor = info.context.actor
            return (await actions.correct_entry(actor, work, entry_id, draft, input.version)).id

        key = await perform(info, input, act)
        return CorrectProfileEntrySuccess(entry=await _entry(info, draft.section, key))

    @strawberry.mutation(description="Take back a statement of yours.")
    async def remove_profile_entry(
        self, info: Info, input: RemoveProfileEntryInput
    ) -> RemoveProfileEntryPayload:
        """Remove a statement."""
        entry_id = _entry_id(input.entry_id)

        async def act(work: Work) -> UUID:
            await actions.remove_entry(info.context.actor, work, entry_id)
            return entry_id

        await perform(info, input, act)
        return RemoveProfileEntrySuccess(removed_entry_id=input.entry_id)

    @strawberry.mutation(description="Declare that a section has nothing to declare.")
    async def declare_nothing(
        self, info: Info, input: DeclareNothingInput
    ) -> DeclareNothingPayload:
        """Declare a section empty."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            actor = info.context.actor
            return (await actions.declare_nothing(actor, work, record_id, input.section)).record_id

        record = await require_node(info.context, Record, await perform(info, input, act))
        return DeclareNothingSuccess(record=record)
