"""What goes into the mutations of a prevention calendar, and what comes of them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import strawberry

from carnet.calendar.rules import Kind
from carnet.prevention.tables import Choice
from carnet.values import PartialDate
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    RecordClosed,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key
from carnet_graphql.prevention_statements import (
    CalendarFeed,
    Pregnancy,
    PreventionAct,
    PreventionFact,
)
from carnet_graphql.records import Record


@strawberry.input(description="An act that was done.")
class AddPreventionActInput:
    """Input of `addPreventionAct`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    act: str = strawberry.field(description="Its code; see `Prevention.knownActs`.")
    done_on: PartialDate | None = strawberry.field(
        default=None, description="When; without it, done at an unknown date."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Something you stated for the calendar, to take back.")
class RemovePreventionStatementInput:
    """Input of `removePreventionStatement`."""

    statement_id: strawberry.ID = strawberry.field(
        description="A PreventionAct, a PreventionFact or a Pregnancy."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A decision on an item.")
class DecidePreventionInput:
    """Input of `decidePrevention`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    item_key: str = strawberry.field(description="The item.")
    choice: Choice | None = strawberry.field(
        default=None, description="What you decide; null takes a decision back."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A fact that holds of the holder.")
class StatePreventionFactInput:
    """Input of `statePreventionFact`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    code: str = strawberry.field(description="Its code; see `Prevention.knownFacts`.")
    since: date | None = strawberry.field(default=None, description="From when; null: always.")
    until: date | None = strawberry.field(default=None, description="Until when.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A pregnancy of the holder, and how it ended.")
class StatePregnancyInput:
    """Input of `statePregnancy`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    began_on: date = strawberry.field(
        description="The day it began: two weeks after the last period."
    )
    ended_on: date | None = strawberry.field(default=None, description="The day it ended.")
    is_delivered: bool = strawberry.field(
        default=False, description="Whether it ended with a delivery."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Kinds of prevention about which no message is to come.")
class RefusePreventionMessagesInput:
    """Input of `refusePreventionMessages`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    kinds: list[Kind] = strawberry.field(description="All kinds that you refuse; empty: none.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="An address for your phone.")
class CreateCalendarFeedInput:
    """Input of `createCalendarFeed`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    is_detailed: bool = strawberry.field(
        default=False, description="Say what is due; else only that something is."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="An address to end.")
class RevokeCalendarFeedInput:
    """Input of `revokeCalendarFeed`."""

    feed_id: strawberry.ID = strawberry.field(description="The feed.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The act stands in the calendar.")
class AddPreventionActSuccess:
    """Success of `addPreventionAct`."""

    act: PreventionAct = strawberry.field(description="The act.")


@strawberry.type(description="It was taken back.")
class RemovePreventionStatementSuccess:
    """Success of `removePreventionStatement`."""

    removed_statement_id: strawberry.ID = strawberry.field(description="Its former id.")


@strawberry.type(description="The decision stands.")
class DecidePreventionSuccess:
    """Success of `decidePrevention`."""

    record: Record = strawberry.field(description="The record.")


@strawberry.type(description="The fact stands.")
class StatePreventionFactSuccess:
    """Success of `statePreventionFact`."""

    fact: PreventionFact = strawberry.field(description="The fact.")


@strawberry.type(description="The pregnancy stands.")
class StatePregnancySuccess:
    """Success of `statePregnancy`."""

    pregnancy: Pregnancy = strawberry.field(description="The pregnancy.")


@strawberry.type(description="The choice stands.")
class RefusePreventionMessagesSuccess:
    """Success of `refusePreventionMessages`."""

    record: Record = strawberry.field(description="The record.")


@strawberry.type(description="The address is there.")
class CreateCalendarFeedSuccess:
    """Success of `createCalendarFeed`."""

    feed: CalendarFeed = strawberry.field(description="The feed, with its address.")


@strawberry.type(description="The address answers no more.")
class RevokeCalendarFeedSuccess:
    """Success of `revokeCalendarFeed`."""

    record: Record = strawberry.field(description="The record.")


AddPreventionActPayload = Annotated[
    AddPreventionActSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AddPreventionActPayload", description="What came of stating an act."),
]
RemovePreventionStatementPayload = Annotated[
    RemovePreventionStatementSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated,
    strawberry.union(
        "RemovePreventionStatementPayload", description="What came of taking it back."
    ),
]
DecidePreventionPayload = Annotated[
    DecidePreventionSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("DecidePreventionPayload", description="What came of the decision."),
]
StatePreventionFactPayload = Annotated[
    StatePreventionFactSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("StatePreventionFactPayload", description="What came of stating a fact."),
]
StatePregnancyPayload = Annotated[
    StatePregnancySuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("StatePregnancyPayload", description="What came of stating a pregnancy."),
]
RefusePreventionMessagesPayload = Annotated[
    RefusePreventionMessagesSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated,
    strawberry.union("RefusePreventionMessagesPayload", description="What came of the choice."),
]
CreateCalendarFeedPayload = Annotated[
    CreateCalendarFeedSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | Unauthenticated,
    strawberry.union("CreateCalendarFeedPayload", description="What came of making it."),
]
RevokeCalendarFeedPayload = Annotated[
    RevokeCalendarFeedSuccess | AccessDenied | Conflict | NotFound | Unauthenticated,
    strawberry.union("RevokeCalendarFeedPayload", description="What came of ending it."),
]
