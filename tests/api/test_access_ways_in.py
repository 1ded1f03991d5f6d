"""What each way into a record shows, on every path, and what it does not show on any."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import scene
import world
from scene import AUTHORED, FRESH, HELD, MASKED, PLAIN, SECRET, Scene

from carnet.access.tables import DelegationScope
from carnet.clock import MovableClock
from carnet.people.actor import Anonymous, Assurance, Operator, Professional, Publisher
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

UNMASKED = {PLAIN, HELD, SECRET, FRESH}
EVERYTHING = UNMASKED | {MASKED, AUTHORED}
OF_HOLDER = {PLAIN, MASKED, SECRET, AUTHORED}
REASON = "Patient inconscient aux urgences"


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs)


async def allowed_by(made: Scene, actor: Any) -> str | None:
    found = await made.run(
        actor, "query($id: ID!) { record(id: $id) { allowedBy { code } } }", id=made.record_id
    )
    rule: str | None = found["record"] and found["record"]["allowedBy"]["code"]
    return rule


async def name_member(made: Scene, grantee: dict[str, str], role: str = "MEMBER") -> None:
    await made.done(
        made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee, role=role
    )


async def test_the_holder_sees_all_but_what_is_held_or_too_new(made: Scene) -> None:
    assert await made.sees(made.holder) == OF_HOLDER
    assert await made.facts_by_id(made.holder) == (OF_HOLDER, OF_HOLDER)
    assert await allowed_by(made, made.holder) == "holder"


async def test_what_is_held_or_too_new_shows_when_its_time_has_come(
    made: Scene, clock: MovableClock
) -> None:
    clock.offset = timedelta(days=4)
    assert await made.sees(made.holder) == OF_HOLDER | {FRESH}
    clock.offset = timedelta(days=21)
    assert await made.sees(made.holder) == EVERYTHING


async def test_a_parent_sees_what_the_minor_sees_but_for_the_minors_secret(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    born = clock.now().replace(year=clock.now().year - 12)
    made = await scene.make(database, blobs, born=f"{born:%Y-%m-%d}")
    parent = await world.holder(database)
    await world.parent(database, made.holder, parent)
    assert await made.sees(made.holder) == OF_HOLDER
    assert await made.sees(parent) == OF_HOLDER - {SECRET}
    assert await made.facts_by_id(parent) == (OF_HOLDER - {SECRET},) * 2
    assert await allowed_by(made, parent) == "delegate.parent"


async def test_a_caregiver_sees_what_their_scopes_cover(made: Scene, database: Database) -> None:
    for scope in DelegationScope:
        caregiver = await world.holder(database)
        given = await world.delegation(database, made.holder, caregiver, frozenset({scope}))
        seen = await made.sees(caregiver)
        assert seen == (OF_HOLDER - {SECRET} if scope is DelegationScope.DOCUMENTS else set())
        assert await allowed_by(made, caregiver) == "delegate.caregiver"
        manages = await made.run(
            caregiver, "query($id: ID!) { record(id: $id) { access { settings { revision } } } }",
            id=made.record_id,
        )  # fmt: skip
        assert (manages["record"]["access"] is not None) == (scope is DelegationScope.ACCESS)
        facts = await made.facts_by_id(caregiver)
        assert facts == (set(), set())  # facts of documents need both scopes
        await made.done(made.holder, "revokeDelegation", delegationId=scene.delegation_id(given))
    both = frozenset({DelegationScope.PROFILE, DelegationScope.DOCUMENTS})
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver, both)
    assert await made.facts_by_id(caregiver) == (OF_HOLDER - {SECRET},) * 2


async def test_nobody_else_sees_anything(made: Scene, database: Database) -> None:
    strangers = [
        await world.holder(database),
        await world.professional(database),
        Professional(uuid4(), uuid4(), Assurance.SANDBOX),
        await world.publisher(database),
        Publisher(uuid4()),
        Operator(uuid4(), Assurance.CONSOLE),
        Anonymous(),
    ]
    for stranger in strangers:
        assert await made.sees(stranger) == set()
        assert await made.facts_by_id(stranger) == (set(), set())
        assert await allowed_by(made, stranger) is None


async def test_named_to_the_care_team(made: Scene, database: Database) -> None:
    doctor = await world.professional(database)
    await name_member(made, {"professionalId": scene.professional_id(doctor)})
    assert await made.sees(doctor) == UNMASKED
    assert await made.facts_by_id(doctor) == (UNMASKED, UNMASKED)
    assert await allowed_by(made, doctor) == "care-team.member"


async def test_declared_to_the_care_team(made: Scene, database: Database) -> None:
    doctor = await world.professional(database)
    refused = await made.do(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=False)
    assert refused["code"] == "VALIDATION_FAILED"
    assert await made.sees(doctor) == set()
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    assert await made.sees(doctor) == UNMASKED


async def test_a_whole_organization_in_the_care_team(made: Scene, database: Database) -> None:
    place = await world.organization(database)
    one, other = [await world.professional(database, place) for _ in range(2)]
    outsider = await world.professional(database, await world.organization(database))
    await made.done(
        one, "joinCareTeam", patient=made.patient(), holderWasInformed=True, withOrganization=True
    )
    assert await made.sees(one) == UNMASKED
    assert await made.sees(other) == UNMASKED
    assert await made.sees(outsider) == set()


@pytest.mark.parametrize(
    ("role", "seen", "rule"),
    [
        ("ATTENDING_DOCTOR", UNMASKED, "care-team.attending-doctor"),
        ("ADMINISTRATOR", EVERYTHING, "care-team.administrator"),
    ],
)
async def test_roles_that_the_holder_gives(
    made: Scene, database: Database, role: str, seen: set[str], rule: str
) -> None:
    doctor = await world.professional(database)
    await name_member(made, {"professionalId": scene.professional_id(doctor)}, role)
    assert await made.sees(doctor) == seen
    assert await made.facts_by_id(doctor) == (seen, seen)
    assert await allowed_by(made, doctor) == rule


async def test_a_consent_lasts_until_it_expires_or_is_revoked(
    made: Scene, database: Database, clock: MovableClock
) -> None:
    doctor, other = await world.professional(database), await world.professional(database)
    for one in (doctor, other):
        given = await made.done(
            made.holder,
            "giveConsent",
            recordId=made.record_id,
            grantee={"professionalId": scene.professional_id(one)},
        )
    assert await made.sees(doctor) == await made.sees(other) == UNMASKED
    assert await allowed_by(made, doctor) == "consent.given"
    await made.done(
        made.holder,
        "revokeConsent",
        recordId=made.record_id,
        consentId=given["consent"]["id"],
    )
    assert await made.sees(other) == set()
    assert await made.sees(doctor) == UNMASKED
    clock.offset = timedelta(hours=24, minutes=1)
    assert await made.sees(doctor) == set()


async def test_an_attested_consent_counts_while_the_holder_accepts_them(
    made: Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    await made.done(doctor, "attestConsent", patient=made.patient())
    assert await made.sees(doctor) == UNMASKED
    assert await allowed_by(made, doctor) == "consent.attested"
    await made.done(
        made.holder,
        "changeAccessSettings",
        recordId=made.record_id,
        revision=1,
        allowsAttestedConsent=False,
    )
    assert await made.sees(doctor) == set()


@pytest.mark.parametrize("kind", ["BREAK_GLASS", "REGULATION_CENTRE"])
async def test_an_emergency_opens_the_record_for_four_hours(
    made: Scene, database: Database, clock: MovableClock, kind: str
) -> None:
    centre = await world.organization(database, is_regulation_centre=True)
    doctor = await world.professional(database, centre)
    await made.done(doctor, "openEmergencyAccess", patient=made.patient(), kind=kind, reason=REASON)
    assert await made.sees(doctor) == UNMASKED
    expected = f"emergency.{kind.lower().replace('_', '-')}"
    assert await allowed_by(made, doctor) == expected
    await made.done(
        made.holder,
        "changeAccessSettings",
        recordId=made.record_id,
        revision=1,
        showsMaskedInEmergency=True,
    )
    assert await made.sees(doctor) == EVERYTHING
    clock.offset = timedelta(hours=4, minutes=1)
    assert await made.sees(doctor) == set()


async def test_an_author_sees_what_they_wrote_without_any_grant(
    database: Database, blobs: BlobStore
) -> None:
    author = await world.professional(database)
    made = await scene.make(database, blobs, author=author)
    assert await made.sees(author) == {AUTHORED}
    assert await made.facts_by_id(author) == (set(), set())
    assert await allowed_by(made, author) is None


async def test_who_is_blocked_sees_nothing_whatever_was_granted(
    database: Database, blobs: BlobStore
) -> None:
    place = await world.organization(database)
    author = await world.professional(database, place)
    made = await scene.make(database, blobs, author=author)
    grantee = {"professionalId": scene.professional_id(author)}
    for blocked in (grantee, {"organizationId": scene.organization_id(place)}):
        await name_member(made, grantee, "ADMINISTRATOR")
        await made.done(author, "openEmergencyAccess", patient=made.patient(), reason=REASON)
        assert await made.sees(author) == EVERYTHING
        block = await made.done(
            made.holder, "blockAccess", recordId=made.record_id, grantee=blocked
        )
        assert await made.sees(author) == set()
        refused = await made.do(
            author, "openEmergencyAccess", patient=made.patient(), reason=REASON
        )
        assert refused["code"] == "NOT_FOUND"
        await made.done(
            made.holder, "liftBlock", recordId=made.record_id, blockId=block["block"]["id"]
        )
        assert await made.sees(author) == {AUTHORED}, "lifting a block gives nothing back"


async def test_the_matrix_bounds_what_a_profession_reads(made: Scene, database: Database) -> None:
    pharmacist = await world.professional(database, profession="21")
    unheard_of = await world.professional(database, profession="no-such")
    for one in (pharmacist, unheard_of):
        await name_member(made, {"professionalId": scene.professional_id(one)})
    assert await made.sees(pharmacist) == UNMASKED  # 11502-2: read
    assert await made.sees(unheard_of) == set()
    assert await made.facts_by_id(unheard_of) == (set(), set())
