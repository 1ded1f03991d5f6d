"""Guessing the date of birth that goes with a number is counted, whoever exists."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import scene
import world
from scene import BORN, REASON, Scene
from sqlalchemy import select, update

from carnet.access import guesses
from carnet.access.journal_tables import TechnicalEvent
from carnet.access.tables import AccessSettings
from carnet.clock import MovableClock
from carnet.people import rules
from carnet.people.actor import Professional
from carnet.people.tables import SignInAttempt
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

FREE = rules.FREE_ATTEMPTS
DAYS = [day for n in range(1, 32) if (day := f"1980-05-{n:02}") != BORN]
WAYS: dict[str, dict[str, Any]] = {
    "joinCareTeam": {"holderWasInformed": True},
    "attestConsent": {},
    "openEmergencyAccess": {"reason": REASON},
}


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs)


async def guess(made: Scene, who: Professional, way: str = "attestConsent", **patient: str) -> str:
    """Try once, and return the code, or what it was called when it succeeded."""
    said = made.patient(**patient)
    answer = await made.do(who, way, patient=said, **WAYS[way])
    return str(answer.get("code") or answer["__typename"])


async def told(database: Database) -> list[TechnicalEvent]:
    async with database.read() as work:
        return list(await work.session.scalars(select(TechnicalEvent).order_by(TechnicalEvent.at)))


@pytest.mark.parametrize("way", WAYS)
async def test_the_day_of_birth_is_not_found_by_trying_the_month(
    made: Scene, database: Database, way: str
) -> None:
    doctor = await world.professional(database)
    codes = [await guess(made, doctor, way, birthDate=day) for day in [*DAYS, BORN]]
    assert codes == ["NOT_FOUND"] * FREE + ["RATE_LIMITED"] * (len(codes) - FREE)


async def test_all_ways_in_count_together_and_however_the_number_is_spelt(
    made: Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    spelt = [made.ins, f"{made.ins}00", f" {made.ins[:5]} {made.ins[5:]}"]
    system = ["urn:oid:1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.8"]
    codes = [
        await guess(
            made, doctor, way, birthDate=DAYS[n],
            identifier=spelt[n // 2], identifierSystem=system[n % 2],
        )
        for n, way in enumerate([*WAYS, *WAYS])
    ]  # fmt: skip
    assert codes == ["NOT_FOUND"] * FREE + ["RATE_LIMITED"]


async def test_a_number_that_nobody_has_answers_in_the_same_way(
    made: Scene, database: Database
) -> None:
    answers: list[list[tuple[Any, ...]]] = []
    for number in (made.ins, world.national_number()):
        doctor = await world.professional(database)
        seen = []
        for day in DAYS[: FREE + 2]:
            with scene.statements(database) as sent:
                said = made.patient(identifier=number, birthDate=day)
                answer = await made.do(doctor, "attestConsent", patient=said)
            seen.append((answer, len(sent)))
        answers.append(seen)
    assert answers[0] == answers[1]
    assert answers[0][-1][0]["code"] == "RATE_LIMITED"


async def test_parallel_guesses_are_counted_before_they_are_answered(
    made: Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    codes = await asyncio.gather(*(guess(made, doctor, birthDate=day) for day in DAYS))
    assert Counter(codes) == {"NOT_FOUND": FREE, "RATE_LIMITED": len(DAYS) - FREE}


async def test_waiting_lets_in_and_being_let_in_forgets_the_slips(
    made: Scene, database: Database, clock: MovableClock
) -> None:
    doctor = await world.professional(database)
    for _ in range(2):
        for day in DAYS[:FREE]:
            assert await guess(made, doctor, birthDate=day) == "NOT_FOUND"
        refused = await made.do(doctor, "attestConsent", patient=made.patient())
        assert refused["code"] == "RATE_LIMITED"
        clock.offset += rules.FIRST_DELAY
        assert await guess(made, doctor) == "AttestConsentSuccess"


async def test_the_answer_says_how_long_to_wait(made: Scene, database: Database) -> None:
    doctor = await world.professional(database)
    for day in DAYS[:FREE]:
        await guess(made, doctor, birthDate=day)
    found = await made.run(
        doctor,
        "mutation($patient: PatientReferenceInput!, $reason: String!) {"
        " openEmergencyAccess(input: {patient: $patient, reason: $reason})"
        " { ... on RateLimited { retryAfter } } }",
        patient=made.patient(), reason=REASON,
    )  # fmt: skip
    assert found["openEmergencyAccess"] == {"retryAfter": 30}


async def test_nobody_keeps_others_from_a_patient_or_oneself_from_another(
    made: Scene, database: Database, blobs: BlobStore
) -> None:
    doctor, colleague = [await world.professional(database) for _ in range(2)]
    for day in DAYS[: FREE + 1]:
        await guess(made, doctor, birthDate=day)
    assert await guess(made, colleague, "openEmergencyAccess") == "OpenEmergencyAccessSuccess"
    other = await scene.make(database, blobs)
    assert await guess(other, doctor, "openEmergencyAccess") == "OpenEmergencyAccessSuccess"


async def test_what_was_no_guess_is_not_counted(made: Scene, database: Database) -> None:
    doctor = await world.professional(database)
    key = str(uuid4())
    for _ in range(FREE + 1):
        short = await made.do(
            doctor, "openEmergencyAccess", patient=made.patient(), reason="too short"[:9]
        )
        assert short["code"] == "VALIDATION_FAILED"
        other = made.patient(identifierSystem="urn:oid:1.2.3")
        wrong = await made.do(doctor, "attestConsent", patient=other)
        assert wrong["code"] == "VALIDATION_FAILED"
        again = await made.do(
            doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True,
            idempotencyKey=key,
        )  # fmt: skip
        assert again["__typename"] == "JoinCareTeamSuccess"
    async with database.write() as work:
        settings = update(AccessSettings).values(allows_attested_consent=False)
        await work.session.execute(settings)
    for _ in range(FREE + 1):
        assert await guess(made, doctor) == "ACCESS_DENIED"
    async with database.read() as work:
        failed = select(SignInAttempt.id).where(SignInAttempt.succeeded_at.is_(None))
        assert (await work.session.scalars(failed)).all() == []
    person = await world.holder(database)
    answer = await made.do(person, "attestConsent", patient=made.patient())
    assert answer["code"] == "ACCESS_DENIED"


async def test_numbers_are_not_tried_one_after_the_other_either(
    made: Scene, database: Database, clock: MovableClock
) -> None:
    doctor = await world.professional(database)
    limit = rules.ACCOUNT_LIMIT
    for _ in range(limit):
        number = world.national_number()
        assert await guess(made, doctor, identifier=number) == "NOT_FOUND"
    assert await guess(made, doctor) == "RATE_LIMITED"
    clock.offset += rules.ACCOUNT_WINDOW
    assert await guess(made, doctor) == "AttestConsentSuccess"


async def test_being_let_in_to_one_does_not_forget_the_guesses_at_others(
    made: Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    limit = rules.ACCOUNT_LIMIT
    for n in range(limit):
        if n % 50 == 0:
            assert await guess(made, doctor) == "AttestConsentSuccess"
        await guess(made, doctor, identifier=world.national_number())
    assert await guess(made, doctor) == "RATE_LIMITED"


async def test_guessing_is_written_into_the_technical_log_once_an_hour_without_the_patient(
    made: Scene, database: Database, clock: MovableClock
) -> None:
    doctor, other = [await world.professional(database) for _ in range(2)]
    for day in DAYS[:FREE]:
        await guess(made, doctor, birthDate=day)
    assert await told(database) == []
    await asyncio.gather(*(guess(made, doctor, birthDate=day) for day in DAYS[FREE : FREE + 3]))
    (event,) = await told(database)
    assert (event.kind, event.actor) == (guesses.PATIENT_GUESSED, f"account:{doctor.account_id}")
    assert event.details == {"failed": FREE}
    for _ in range(guesses.TOLD_AT):  # as many, all on different patients
        await guess(made, other, identifier=world.national_number())
    assert [event.details for event in (await told(database))[1:]] == [{"failed": guesses.TOLD_AT}]
    clock.offset += timedelta(hours=1)
    for day in DAYS[: FREE + 1]:
        await guess(made, doctor, birthDate=day)
    assert len(await told(database)) == 3


async def test_the_table_of_guesses_holds_no_number_and_no_date(
    made: Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    await guess(made, doctor, birthDate=DAYS[0])
    async with database.read() as work:
        (attempt,) = await work.session.scalars(select(SignInAttempt))
    values = [str(getattr(attempt, column.key)) for column in SignInAttempt.__table__.columns]
    assert not any(made.ins[:13] in value or DAYS[0] in value for value in values)
    assert (attempt.account_id, attempt.address) == (doctor.account_id, None)
