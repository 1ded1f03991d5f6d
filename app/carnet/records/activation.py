"""What somebody does with the code that was sent to them, signed in or not.

Every attempt is counted before anything is looked at, for the person's number and for the
address, as attempts to sign in are. Whoever does not hold number, date of birth and code together
learns nothing: neither whether there is such a person, nor in which state a record is, nor from
the time it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select

from carnet.errors import Conflict, EnrolmentFailed, NotFound
from carnet.people.accounts import acceptable_login, create_holders_account
from carnet.people.actions import Gate
from carnet.people.actor import Actor, Anonymous, Assurance, Patient
from carnet.people.identifiers import spellings
from carnet.people.passwords import PasswordHash, acceptable
from carnet.people.sessions import OpenedSession, open_session
from carnet.people.tables import Account, Person
from carnet.records.codes import enrolment_code, read_code, same
from carnet.records.lifecycle import LifeAction
from carnet.records.lifecycle_actions import Held, held_by_holder, hold, of_number, perform
from carnet.records.tables import Record, RecordState
from carnet.store.database import Work
from carnet.values import Identifier, PartialDate

NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a holder copies from the letter, and who they say they are."""

    identifier: Identifier
    birth_date: PartialDate = field(repr=False)
    code: str = field(repr=False)


async def activate_with_letter(
    gate: Gate, letter: Letter, login: str, password: str, address: str
) -> tuple[OpenedSession, UUID]:
    """Make the holder's account, activate the record and sign in. Opens its own transactions.

    Returns:
        The session and the record.

    Raises:
        SignInFailed: this server keeps no passwords: sign in, and activate with the code.
        ValidationFailed: the login or the password is not acceptable.
        RateLimited: too many attempts, or too many people at once.
        EnrolmentFailed: number, date and code do not go together.
        RecordNotOpen: they do, and the record opens later.
        RecordClosed: they do, and the record's state allows no activation.
        Conflict: they do, and the record is activated already, or the login is taken.
    """
    gate.refuse_if_closed()
    name = acceptable_login(login)
    acceptable(password, name)
    gate.passwords.refuse_a_crowd()
    attempt_id = await gate.attempts.begin(_counted_as(letter.identifier), address)
    hashed = await gate.passwords.hash(password, login=name)  # always, so that time tells nothing
    async with gate.database.write() as work:
        held = await _proven(work, gate, letter)
        opened = await _activate_anew(work, held, name, hashed)
        await gate.attempts.succeed(work, attempt_id)
        return opened, held.record.id


async def _activate_anew(
    work: Work, held: Held, login: str, password: PasswordHash
) -> OpenedSession:
    if held.life.state is RecordState.ACTIVATED:
        raise Conflict("The record is activated already; sign in.")
    person_id = held.record.person_id
    account_id = await create_holders_account(work, person_id, login, password)
    actor = Patient(person_id, account_id, Assurance.PASSWORD)
    await perform(actor, work, held, LifeAction.ACTIVATE)
    account = await work.session.get_one(Account, account_id)
    return await open_session(work, account, Assurance.PASSWORD)


async def begin(
    actor: Actor, gate: Gate, record_id: UUID | None, address: str
) -> tuple[UUID, UUID]:
    """Count an attempt of who has signed in, before `activate`. Opens its own transactions.

    Args:
        actor: the holder, or the parent of a minor.
        gate: counts.
        record_id: the record; None for the actor's own.
        address: the client's.

    Returns:
        The record and the attempt.

    Raises:
        NotFound: the actor has no record of their own.
        RateLimited: too many attempts.
    """
    if record_id is None:
        record_id = await _own_record(actor, gate)
    return record_id, await gate.attempts.begin(f"enrolment of {record_id}", address)


async def activate(
    actor: Actor, gate: Gate, work: Work, record_id: UUID, code: str, attempt_id: UUID
) -> UUID:
    """Activate a record for who has signed in, with the code alone.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound, AccessDenied: it is not theirs.
        EnrolmentFailed: the code is wrong.
        RecordNotOpen, RecordClosed: its state allows no activation.
    """
    held = await held_by_holder(actor, work, record_id)
    if not _is_code_of(gate, held.record, code):
        raise EnrolmentFailed()
    await perform(actor, work, held, LifeAction.ACTIVATE)
    await gate.attempts.succeed(work, attempt_id)
    return record_id


async def change_with_letter(gate: Gate, letter: Letter, action: LifeAction, address: str) -> Held:
    """Oppose, or take the opposition back, without an account. Opens its own transactions.

    Raises:
        RateLimited: too many attempts.
        EnrolmentFailed: number, date and code do not go together.
        RecordClosed: they do, and the record's state does not allow it.
    """
    attempt_id = await gate.attempts.begin(_counted_as(letter.identifier), address)
    async with gate.database.write() as work:
        held = await _proven(work, gate, letter)
        await perform(Anonymous(), work, held, action, rule=_RULES[action])
        await gate.attempts.succeed(work, attempt_id)
        return held


_RULES = {
    LifeAction.OPPOSE: "records.code-opposes",
    LifeAction.REVERSE_OPPOSITION: "records.code-reverses-opposition",
}


async def _own_record(actor: Actor, gate: Gate) -> UUID:
    match actor:
        case Patient(person_id=person_id):
            async with gate.database.read() as work:
                found = await work.session.scalar(
                    select(Record.id)
                    .where(Record.person_id == person_id)
                    .order_by(Record.id.desc())
                    .limit(1)
                )
            if found is not None:
                return found
    raise NotFound()


async def _proven(work: Work, gate: Gate, letter: Letter) -> Held:
    """Return the record that goes with all three, held; the same work is done for nobody's."""
    statement = (
        select(Record, Person.birth_date)
        .join(Person, Person.id == Record.person_id)
        .where(of_number(letter.identifier), Record.state != RecordState.DELETED)
        .limit(2)
    )
    found = (await work.session.execute(statement)).all()
    record, birth_date = found[0] if len(found) == 1 else (None, None)
    is_code = _is_code_of(gate, record, letter.code)
    if record is None or not is_code or not _is_born(birth_date, letter.birth_date):
        raise EnrolmentFailed()
    return await hold(work, Record.id == record.id)


def _is_code_of(gate: Gate, record: Record | None, code: str) -> bool:
    record_id, issue = (record.id, record.enrolment_code_issue) if record else (NOBODY, 0)
    right = enrolment_code(gate.server_key, record_id, issue)
    return same(read_code(code) or "", right) and record is not None


def _is_born(known: PartialDate | None, said: PartialDate) -> bool:
    """Tell whether the date is the known one, or sharper than it."""
    return known is not None and said.text.startswith(known.text)


def _counted_as(identifier: Identifier) -> str:
    """Return the name under which attempts on a number are counted; no login has spaces."""
    form = spellings(identifier)[0]
    return f"enrolment {form.system} {form.value}"[:1000]
