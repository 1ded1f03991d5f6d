"""A right that was lost is gone at the next request, and in the answer that is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import graph
import pytest
import scene
import world
from scene import MASKED, PLAIN, SECRET, Scene
from sqlalchemy import func, select

from carnet.access.journal_tables import JournalEntry
from carnet.clock import MovableClock
from carnet.people.actor import Actor, Patient, Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql import profile
from carnet_graphql.node import write_id
from carnet_graphql.reads import Reads

REASON = "Patient inconscient aux urgences"
READ = "query($id: ID!) { node(id: $id) { __typename } }"


@dataclass
class Stage:
    """A scene, somebody who gets into it, and the clock."""

    made: Scene
    clock: MovableClock
    actor: Patient | Professional
    settings_revision: int = 1

    def grantee(self) -> dict[str, str]:
        assert isinstance(self.actor, Professional)
        return {"professionalId": scene.professional_id(self.actor)}

    async def holder(self, mutation: str, **given: Any) -> dict[str, Any]:
        return await self.made.done(
            self.made.holder, mutation, recordId=self.made.record_id, **given
        )

    async def settings(self, **given: Any) -> None:
        await self.holder("changeAccessSettings", revision=self.settings_revision, **given)


Lose = Callable[[], Awaitable[Any]]
Way = Callable[[Stage], Awaitable[Lose]]


async def consent_revoked(stage: Stage) -> Lose:
    given = await stage.holder("giveConsent", grantee=stage.grantee())
    return lambda: stage.holder("revokeConsent", consentId=given["consent"]["id"])


async def consent_expired(stage: Stage) -> Lose:
    await stage.holder("giveConsent", grantee=stage.grantee())

    async def later() -> None:
        stage.clock.offset += timedelta(hours=24, seconds=1)

    return later


async def attested_no_more(stage: Stage) -> Lose:
    await stage.made.done(stage.actor, "attestConsent", patient=stage.made.patient())
    return lambda: stage.settings(allowsAttestedConsent=False)


async def membership_ended(stage: Stage) -> Lose:
    named = await stage.holder("nameCareTeamMember", grantee=stage.grantee())
    return lambda: stage.holder("endCareTeamMembership", memberId=named["member"]["id"])


async def blocked(stage: Stage) -> Lose:
    await stage.holder("nameCareTeamMember", grantee=stage.grantee(), role="ADMINISTRATOR")
    return lambda: stage.holder("blockAccess", grantee=stage.grantee())


async def emergency_closed_by_the_holder(stage: Stage) -> Lose:
    opened = await stage.made.done(
        stage.actor, "openEmergencyAccess", patient=stage.made.patient(), reason=REASON
    )
    id_ = opened["emergencyAccessId"]
    return lambda: stage.made.done(stage.made.holder, "closeEmergencyAccess", emergencyAccessId=id_)


async def emergency_closed_by_the_professional(stage: Stage) -> Lose:
    opened = await stage.made.done(
        stage.actor, "openEmergencyAccess", patient=stage.made.patient(), reason=REASON
    )
    id_ = opened["emergencyAccessId"]
    return lambda: stage.made.done(stage.actor, "closeEmergencyAccess", emergencyAccessId=id_)


async def no_break_glass_any_more(stage: Stage) -> Lose:
    await stage.made.done(
        stage.actor, "openEmergencyAccess", patient=stage.made.patient(), reason=REASON
    )
    return lambda: stage.settings(allowsBreakGlass=False)


async def masked(stage: Stage) -> Lose:
    await stage.holder("nameCareTeamMember", grantee=stage.grantee())
    return lambda: stage.made.done(
        stage.made.holder, "maskDocument", documentId=stage.made.document_id(PLAIN)
    )


WAYS: list[Way] = [
    consent_revoked,
    consent_expired,
    attested_no_more,
    membership_ended,
    blocked,
    emergency_closed_by_the_holder,
    emergency_closed_by_the_professional,
    no_break_glass_any_more,
    masked,
]


class Interrupted(Reads):
    """Reads during which something happens, after the last row was read and before the answer."""

    def __init__(self, happens: Lose) -> None:
        super().__init__()
        self.happens = happens

    async def settle(self, actor: Actor, database: Database) -> None:
        await self.happens()
        await super().settle(actor, database)


async def asked(made: Scene, actor: Actor, id_: str, reads: Reads | None = None) -> Any:
    context = graph.context_of(made.database, made.blobs, actor, reads)
    return await graph.answer(context, READ, {"id": id_})


async def journalled(made: Scene, actor: Patient | Professional) -> int:
    """Return how many reads of documents and facts by this actor are in the journal."""
    own = actor.person_id if isinstance(actor, Patient) else actor.professional_id
    async with made.database.read() as work:
        found = select(func.count()).where(
            JournalEntry.actor_id == own, JournalEntry.action.in_(["READ_DOCUMENT", "READ_PROFILE"])
        )
        return await work.session.scalar(found) or 0


async def loses(stage: Stage, lose: Lose, id_: str) -> None:
    """Check that what is read now is not answered once it is lost, nor ever again."""
    made = stage.made
    data, errors = await asked(made, stage.actor, id_)
    assert (data["node"] is not None, errors) == (True, [])
    before = await journalled(made, stage.actor)
    data, errors = await asked(made, stage.actor, id_, Interrupted(lose))
    assert data is None
    assert [error["extensions"]["code"] for error in errors] == ["RIGHTS_CHANGED"]
    data, errors = await asked(made, stage.actor, id_)
    assert (data, errors) == ({"node": None}, [])
    assert await journalled(made, stage.actor) == before


@pytest.fixture
async def stage(database: Database, blobs: BlobStore, clock: MovableClock) -> Stage:
    made = await scene.make(database, blobs)
    return Stage(made, clock, await world.professional(database))


@pytest.mark.parametrize("way", WAYS)
async def test_a_professional_who_loses_a_right(stage: Stage, way: Way) -> None:
    lose = await way(stage)
    await loses(stage, lose, stage.made.document_id(PLAIN))
    async with stage.made.client(stage.actor) as client:
        answer = await client.get(stage.made.content_path(PLAIN))
        assert answer.status_code == 404


async def test_a_fact_is_lost_with_the_document_it_was_read_from(stage: Stage) -> None:
    lose = await masked(stage)
    await loses(stage, lose, write_id(profile.Condition, stage.made.entries[PLAIN]))


async def test_a_caregiver_whose_delegation_is_revoked(stage: Stage) -> None:
    made = stage.made
    stage.actor = await world.holder(made.database)
    given = scene.delegation_id(await world.delegation(made.database, made.holder, stage.actor))
    await loses(
        stage,
        lambda: made.done(made.holder, "revokeDelegation", delegationId=given),
        made.document_id(PLAIN),
    )
    refused = await made.do(stage.actor, "maskDocument", documentId=made.document_id(PLAIN))
    assert refused["code"] == "NOT_FOUND"


async def test_a_caregiver_whose_delegation_runs_out(stage: Stage) -> None:
    made = stage.made
    stage.actor = await world.holder(made.database)
    end = stage.clock.now() + timedelta(hours=1)
    await world.delegation(made.database, made.holder, stage.actor, expires_at=end)

    async def later() -> None:
        stage.clock.offset += timedelta(hours=1)

    await loses(stage, later, made.document_id(PLAIN))


async def test_a_parent_whose_child_comes_of_age(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    birthday = clock.now() + timedelta(days=2)
    born = birthday.replace(year=birthday.year - 18)
    made = await scene.make(database, blobs, born=f"{born:%Y-%m-%d}")
    parent = await world.holder(database)
    await world.parent(database, made.holder, parent)

    async def later() -> None:
        clock.offset += timedelta(days=2)

    await loses(Stage(made, clock, parent), later, made.document_id(PLAIN))
    assert SECRET in await made.sees(made.holder)


async def test_a_holder_who_chooses_to_see_results_later(stage: Stage) -> None:
    stage.actor = stage.made.holder
    await loses(stage, lambda: stage.settings(hideResultsDays=60), stage.made.document_id(MASKED))


async def test_what_an_earlier_mutation_showed_is_settled_before_the_next(stage: Stage) -> None:
    made = stage.made
    caregiver = await world.holder(made.database)
    given = scene.delegation_id(await world.delegation(made.database, made.holder, caregiver))
    found = await made.run(
        caregiver,
        """mutation($mask: MaskDocumentInput!, $end: RevokeDelegationInput!) {
          maskDocument(input: $mask) { ... on MaskDocumentSuccess { document { isMasked } } }
          revokeDelegation(input: $end) { __typename } }""",
        mask={"documentId": made.document_id(PLAIN)},
        end={"delegationId": given},
    )
    assert found == {
        "maskDocument": {"document": {"isMasked": True}},
        "revokeDelegation": {"__typename": "RevokeDelegationSuccess"},
    }
    assert await journalled(made, caregiver) == 1


async def test_an_answer_that_could_not_be_settled_is_withheld_for_good(stage: Stage) -> None:
    """Also where a later mutation of the same operation meets the failure first."""
    made = stage.made
    caregiver = await world.holder(made.database)
    given = scene.delegation_id(await world.delegation(made.database, made.holder, caregiver))
    turns: list[int] = []

    async def revoke_at_the_second_turn() -> None:
        turns.append(1)
        if len(turns) == 2:
            await made.done(made.holder, "revokeDelegation", delegationId=given)

    mask = "maskDocument(input: $mask) { ... on MaskDocumentSuccess { document { title } } }"
    context = graph.context_of(
        made.database, made.blobs, caregiver, Interrupted(revoke_at_the_second_turn)
    )
    data, errors = await graph.answer(
        context,
        f"mutation($mask: MaskDocumentInput!) {{ one: {mask} two: {mask} }}",
        {"mask": {"documentId": made.document_id(PLAIN)}},
    )
    assert data is None
    assert [error["extensions"]["code"] for error in errors] == ["RIGHTS_CHANGED"]
