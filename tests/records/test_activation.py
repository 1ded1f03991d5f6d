"""A letter that is wrong costs what a right one costs, and counts before anything is looked at."""

import asyncio
from datetime import timedelta
from typing import Any

import graph
import pytest
from sqlalchemy import func, select

from carnet.clock import MovableClock
from carnet.errors import Conflict, EnrolmentFailed, RateLimited, RecordClosed
from carnet.people.actions import Gate
from carnet.people.actor import CONSOLE, Assurance, Patient
from carnet.people.attempts import Attempts
from carnet.people.claims import Claim
from carnet.people.identifiers import INS_NIR
from carnet.people.passwords import Passwords
from carnet.people.tables import Account, SignInAttempt
from carnet.records.activation import Letter, activate_with_letter, change_with_letter
from carnet.records.codes import enrolment_code
from carnet.records.enrolment import enrol
from carnet.records.lifecycle import LifeAction
from carnet.records.lifecycle_actions import change
from carnet.records.tables import Record, RecordState
from carnet.store.database import Database
from carnet.values import Identifier, PartialDate

NUMBER = Identifier(INS_NIR, "1850599000001")
BORN = PartialDate("1985-05-04")


@pytest.fixture
async def gate(database: Database):
    passwords = Passwords(graph.CHEAP)
    yield Gate(database, passwords, Attempts(database, b"k" * 32), graph.SERVER_KEY)
    passwords.close()


@pytest.fixture
async def letter(database: Database) -> Letter:
    claim = Claim((NUMBER,), birth_family_name="DUPONT", given_names=("Alix",), birth_date=BORN)
    async with database.write() as work:
        (done,) = await enrol(CONSOLE, work, [claim])
    assert done.record is not None
    return Letter(NUMBER, BORN, enrolment_code(graph.SERVER_KEY, done.record.id, 1))


async def activate(gate: Gate, letter: Letter, login: str = "alix@example.org") -> Any:
    return await activate_with_letter(gate, letter, login, "correct horse battery", "127.0.0.1")


async def test_every_attempt_hashes_once_and_is_counted(
    gate: Gate, letter: Letter, clock: MovableClock
) -> None:
    clock.offset += timedelta(weeks=6)
    for wrong in (
        Letter(Identifier(INS_NIR, "1850599000009"), BORN, letter.code),
        Letter(NUMBER, PartialDate("1985-05-05"), letter.code),
        Letter(NUMBER, BORN, "0000-0000-0000"),
    ):
        worked = gate.passwords.worked
        with pytest.raises(EnrolmentFailed):
            await activate(gate, wrong)
        assert gate.passwords.worked == worked + 1
    await activate(gate, letter)
    assert gate.passwords.worked == 4
    async with gate.database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(SignInAttempt)) == 4


async def test_of_two_at_once_one_activates(
    gate: Gate, letter: Letter, clock: MovableClock
) -> None:
    clock.offset += timedelta(weeks=6)
    found = await asyncio.gather(
        *(activate(gate, letter, f"alix{number}@example.org") for number in range(4)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in found) == ["Conflict"] * 3 + ["tuple"]
    assert any(isinstance(one, Conflict) for one in found)
    async with gate.database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Account)) == 1
        assert await work.session.scalar(select(Record.state)) is RecordState.ACTIVATED


async def test_guesses_at_once_are_limited(gate: Gate, letter: Letter) -> None:
    wrong = Letter(NUMBER, BORN, "0000-0000-0000")
    found = await asyncio.gather(
        *(change_with_letter(gate, wrong, LifeAction.OPPOSE, "127.0.0.1") for _ in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, EnrolmentFailed) for one in found) == 5
    assert sum(isinstance(one, RateLimited) for one in found) == 7


async def test_a_wrong_letter_does_not_tell_of_a_deletion(
    gate: Gate, letter: Letter, clock: MovableClock
) -> None:
    """Whatever the record's state is, who lacks the code has the one answer."""
    _, record_id = await _activated(gate, letter, clock)
    async with gate.database.write() as work:
        record = await work.session.get_one(Record, record_id)
        account = (await work.session.scalars(select(Account))).one()
        actor = Patient(record.person_id, account.id, Assurance.PASSWORD)
        await change(actor, work, record_id, LifeAction.REQUEST_DELETION)
    clock.offset += timedelta(days=31)
    with pytest.raises(RecordClosed):
        await change_with_letter(gate, letter, LifeAction.OPPOSE, "127.0.0.1")
    with pytest.raises(EnrolmentFailed):
        wrong = Letter(NUMBER, BORN, "0000-0000-0000")
        await change_with_letter(gate, wrong, LifeAction.OPPOSE, "127.0.0.1")


async def _activated(gate: Gate, letter: Letter, clock: MovableClock) -> Any:
    clock.offset += timedelta(weeks=6)
    return await activate(gate, letter)
