"""What is stated, decided and set in a prevention calendar."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import strawberry

from carnet.errors import BadId
from carnet.prevention import feeds, statements
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.idempotency import perform
from carnet_graphql.node import Node, read_id, require_node
from carnet_graphql.prevention_payloads import (
    AddPreventionActInput,
    AddPreventionActPayload,
    AddPreventionActSuccess,
    CreateCalendarFeedInput,
    CreateCalendarFeedPayload,
    CreateCalendarFeedSuccess,
    DecidePreventionInput,
    DecidePreventionPayload,
    DecidePreventionSuccess,
    RefusePreventionMessagesInput,
    RefusePreventionMessagesPayload,
    RefusePreventionMessagesSuccess,
    RemovePreventionStatementInput,
    RemovePreventionStatementPayload,
    RemovePreventionStatementSuccess,
    RevokeCalendarFeedInput,
    RevokeCalendarFeedPayload,
    RevokeCalendarFeedSuccess,
    StatePregnancyInput,
    StatePregnancyPayload,
    StatePregnancySuccess,
    StatePreventionFactInput,
    StatePreventionFactPayload,
    StatePreventionFactSuccess,
)
from carnet_graphql.prevention_statements import (
    CalendarFeed,
    Pregnancy,
    PreventionAct,
    PreventionFact,
)
from carnet_graphql.records import Record

_REMOVERS = {
    PreventionAct: statements.remove_act,
    PreventionFact: statements.remove_fact,
    Pregnancy: statements.remove_pregnancy,
}


def _statement_id(text: str) -> tuple[type[Node], UUID]:
    for kind in _REMOVERS:
        with suppress(BadId):
            return kind, read_id(text, kind)
    raise BadId(path=("statementId",))


@strawberry.type
class PreventionMutation:
    """Mutations of the prevention calendar."""

    @strawberry.mutation(
        description="State that an act of prevention was done. Vaccines are reported with"
        " addImmunization."
    )
    async def add_prevention_act(
        self, info: Info, input: AddPreventionActInput
    ) -> AddPreventionActPayload:
        """State an act."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            return await statements.record_act(
                info.context.actor, work, record_id, input.act, input.done_on
            )

        key = await perform(info, input, act)
        return AddPreventionActSuccess(act=await require_node(info.context, PreventionAct, key))

    @strawberry.mutation(description="Take back an act, a fact or a pregnancy that you stated.")
    async def remove_prevention_statement(
        self, info: Info, input: RemovePreventionStatementInput
    ) -> RemovePreventionStatementPayload:
        """Take a statement back."""
        kind, key = _statement_id(input.statement_id)
        remove = _REMOVERS[kind]

        async def act(work: Work) -> UUID:
            return await remove(info.context.actor, work, key)

        await perform(info, input, act)
        return RemovePreventionStatementSuccess(removed_statement_id=input.statement_id)

    @strawberry.mutation(description="Refuse an item, or say that it does not concern the holder.")
    async def decide_prevention(
        self, info: Info, input: DecidePreventionInput
    ) -> DecidePreventionPayload:
        """Decide on an item."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            return await statements.decide(
                info.context.actor, work, record_id, input.item_key, input.choice
            )

        await perform(info, input, act)
        return DecidePreventionSuccess(record=await require_node(info.context, Record, record_id))

    @strawberry.mutation(
        description="State a fact that changes what is asked; again, with a new end."
    )
    async def state_prevention_fact(
        self, info: Info, input: StatePreventionFactInput
    ) -> StatePreventionFactPayload:
        """State a fact."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            return await statements.state_fact(
                info.context.actor, work, record_id, input.code, input.since, input.until
            )

        key = await perform(info, input, act)
        return StatePreventionFactSuccess(
            fact=await require_node(info.context, PreventionFact, key)
        )

    @strawberry.mutation(description="State a pregnancy, or how the one that began then ended.")
    async def state_pregnancy(
        self, info: Info, input: StatePregnancyInput
    ) -> StatePregnancyPayload:
        """State a pregnancy."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            return await statements.state_pregnancy(
                info.context.actor,
                work,
                record_id,
                input.began_on,
                input.ended_on,
                is_delivered=input.is_delivered,
            )

        key = await perform(info, input, act)
        return StatePregnancySuccess(pregnancy=await require_node(info.context, Pregnancy, key))

    @strawberry.mutation(
        description="Choose about which kinds of prevention no message comes; the calendar stays"
        " whole."
    )
    async def refuse_prevention_messages(
        self, info: Info, input: RefusePreventionMessagesInput
    ) -> RefusePreventionMessagesPayload:
        """Choose the kinds."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            return await statements.refuse_messages(
                info.context.actor, work, record_id, input.kinds
            )

        await perform(info, input, act)
        return RefusePreventionMessagesSuccess(
            record=await require_node(info.context, Record, record_id)
        )

    @strawberry.mutation(
        description="Make an address at which your phone reads the calendar. Whoever has the"
        " address reads it: revoke it when it got out."
    )
    async def create_calendar_feed(
        self, info: Info, input: CreateCalendarFeedInput
    ) -> CreateCalendarFeedPayload:
        """Make a feed."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            return await feeds.create(
                info.context.actor, work, record_id, is_detailed=input.is_detailed
            )

        key = await perform(info, input, act)
        return CreateCalendarFeedSuccess(feed=await require_node(info.context, CalendarFeed, key))

    @strawberry.mutation(description="End an address; it answers nothing any more.")
    async def revoke_calendar_feed(
        self, info: Info, input: RevokeCalendarFeedInput
    ) -> RevokeCalendarFeedPayload:
        """End a feed."""
        key = read_id(input.feed_id, CalendarFeed, "feedId")

        async def act(work: Work) -> UUID:
            return await feeds.revoke(info.context.actor, work, key)

        record_id = await perform(info, input, act)
        return RevokeCalendarFeedSuccess(record=await require_node(info.context, Record, record_id))
