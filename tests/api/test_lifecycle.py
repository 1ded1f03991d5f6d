"""The life cycle through GraphQL, as every kind of actor."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import graph
import pytest
from sqlalchemy import func, select

from carnet.access.journal_tables import JournalEntry
from carnet.access.tables import Delegation, DelegationKind, DelegationScope
from carnet.cli.jobs import ERASERS
from carnet.clock import MovableClock
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import (
    CONSOLE,
    Actor,
    Anonymous,
    Assurance,
    Operator,
    Patient,
    Professional,
    Publisher,
)
from carnet.people.claims import Claim
from carnet.people.identifiers import INS_NIR
from carnet.people.sessions import authenticate
from carnet.people.tables import Account, AccountKind, Sex
from carnet.records import transitions
from carnet.records.codes import enrolment_code
from carnet.records.enrolment import Enrolment, enrol
from carnet.records.tables import Record, RecordState
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import Identifier, PartialDate
from carnet_graphql.node import write_id
from carnet_graphql.records import Record as RecordType

PASSWORD = "correct horse battery"
NUMBERS = iter(f"1850599999{number:03d}" for number in range(999))

ERROR = "... on UserError { code message }"
LIFE = "lifecycle { recordId state closedAt opposedAt deletionDueOn availableActions }"
CHANGES = {
    "closeRecord": ("CloseRecordInput", f"... on CloseRecordSuccess {{ reference {LIFE} }}"),
    "reopenRecord": ("ReopenRecordInput", f"... on ReopenRecordSuccess {{ {LIFE} }}"),
    "requestDeletion": ("RequestDeletionInput", f"... on RequestDeletionSuccess {{ {LIFE} }}"),
    "cancelDeletion": ("CancelDeletionInput", f"... on CancelDeletionSuccess {{ {LIFE} }}"),
    "opposeRecord": (
        "OpposeRecordInput",
        f"... on OpposeRecordSuccess {{ recordId reference proofUrl proofKey opposedAt {LIFE} }}",
    ),
    "reverseOpposition": (
        "ReverseOppositionInput",
        f"... on ReverseOppositionSuccess {{ recordId {LIFE} }}",
    ),
    "activateRecord": (
        "ActivateRecordInput",
        "... on ActivateRecordSuccess { recordId session { token }"
        f" {LIFE} }} ... on RecordNotOpen {{ opensAt }}",
    ),
    "suspendRecord": ("SuspendRecordInput", "... on SuspendRecordSuccess { recordId state }"),
    "resumeRecord": ("ResumeRecordInput", "... on ResumeRecordSuccess { recordId state }"),
}


@dataclass
class World:
    database: Database
    blobs: BlobStore
    clock: MovableClock

    async def enrolled(self, *, born: str = "1985-05-04") -> "Holder":
        number = next(NUMBERS)
        claim = Claim(
            (Identifier(INS_NIR, number),),
            birth_family_name="DUPONT",
            given_names=("Alix",),
            birth_date=PartialDate(born),
            sex=Sex.FEMALE,
        )
        async with self.database.write() as work:
            (done,) = await enrol(CONSOLE, work, [claim])
            assert done.outcome is Enrolment.ENROLLED and done.record is not None
            account = Account(
                id=work.new_id(),
                kind=AccountKind.PATIENT,
                person_id=done.record.person_id,
                created_at=work.now,
            )
            work.session.add(account)
        actor = Patient(done.record.person_id, account.id, Assurance.SANDBOX)
        return Holder(actor, done.record.id, number, born)

    async def pass_time(self, span: timedelta) -> None:
        self.clock.offset += span
        await transitions.run(self.database, ERASERS)

    async def ask(self, actor: Actor, mutation: str, **input: Any) -> Any:
        kind, selection = CHANGES[mutation]
        query = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ __typename {selection} {ERROR} }} }}"
        found = await graph.data(self.database, self.blobs, actor, query, input=input)
        return found[mutation]

    async def life(self, holder: "Holder", actor: Actor | None = None) -> Any:
        query = f"{{ viewer {{ ... on Patient {{ {LIFE} record {{ id }} }} }} }}"
        found = await graph.data(self.database, self.blobs, actor or holder.actor, query)
        return found["viewer"]

    async def state(self, holder: "Holder") -> RecordState:
        async with self.database.read() as work:
            state = await work.session.scalar(
                select(Record.state).where(Record.id == holder.record_id)
            )
        assert state is not None
        return state

    async def journal(self, holder: "Holder") -> list[tuple[str, str, str | None, str]]:
        async with self.database.read() as work:
            rows = await work.session.scalars(
                select(JournalEntry)
                .where(JournalEntry.record_id == holder.record_id)
                .order_by(JournalEntry.number)
            )
            return [
                (row.actor_kind, row.rule, row.details.get("from"), row.details.get("to", ""))
                for row in rows
            ]

    async def told(self, person_id: UUID) -> list[NotificationKind]:
        async with self.database.read() as work:
            rows = await work.session.scalars(
                select(Notification.kind)
                .where(Notification.person_id == person_id)
                .order_by(Notification.created_at, Notification.id)
            )
            return list(rows)

    async def delegate(self, holder: "Holder", kind: DelegationKind, *scopes: str) -> Patient:
        other = await self.enrolled()
        async with self.database.write() as work:
            work.session.add(
                Delegation(
                    id=work.new_id(),
                    holder_person_id=holder.actor.person_id,
                    delegate_person_id=other.actor.person_id,
                    kind=kind,
                    scopes=list(scopes),
                    invited_at=work.now,
                    accepted_at=work.now,
                )
            )
        return other.actor


@dataclass
class Holder:
    actor: Patient
    record_id: UUID
    number: str
    born: str

    @property
    def id(self) -> str:
        return write_id(RecordType, self.record_id)

    @property
    def code(self) -> str:
        return enrolment_code(graph.SERVER_KEY, self.record_id, 1)

    @property
    def letter(self) -> dict[str, Any]:
        return {
            "identifier": {"system": INS_NIR, "value": self.number},
            "birthDate": self.born,
            "enrolmentCode": self.code,
        }


@pytest.fixture
def world(database: Database, blobs: BlobStore, clock: MovableClock) -> World:
    return World(database, blobs, clock)


ALL_SCOPES = tuple(scope.value for scope in DelegationScope)
STRANGERS: list[Actor] = [
    Professional(uuid4(), uuid4(), Assurance.SANDBOX),
    Publisher(uuid4()),
    Operator(uuid4(), Assurance.SANDBOX),
]
HOLDERS_MUTATIONS = [
    "opposeRecord",
    "reverseOpposition",
    "closeRecord",
    "reopenRecord",
    "requestDeletion",
    "cancelDeletion",
]


async def test_from_the_notice_to_a_fresh_record(world: World) -> None:
    holder = await world.enrolled()
    assert (await world.life(holder))["lifecycle"]["state"] == "NOTIFIED"
    early = await world.ask(holder.actor, "activateRecord", enrolmentCode=holder.code)
    assert early["__typename"] == "RecordNotOpen"
    await world.pass_time(timedelta(weeks=6))
    assert await world.state(holder) is RecordState.OPEN
    done = await world.ask(holder.actor, "activateRecord", enrolmentCode=holder.code)
    assert done["lifecycle"]["state"] == "ACTIVATED"
    assert done["session"] is None
    closed = await world.ask(holder.actor, "closeRecord", recordId=holder.id)
    assert closed["lifecycle"]["availableActions"] == ["REOPEN", "REQUEST_DELETION"]
    seen = await world.life(holder)
    assert (seen["record"], seen["lifecycle"]["state"]) == (None, "CLOSED")
    opened = await world.ask(holder.actor, "reopenRecord", recordId=holder.id)
    assert (opened["lifecycle"]["state"], opened["lifecycle"]["closedAt"]) == ("ACTIVATED", None)
    asked = await world.ask(holder.actor, "requestDeletion", recordId=holder.id)
    due = (world.clock.now() + timedelta(days=30)).date().isoformat()
    assert asked["lifecycle"]["deletionDueOn"] == due
    assert asked["lifecycle"]["availableActions"] == ["CANCEL_DELETION"]
    kept = await world.ask(holder.actor, "cancelDeletion", recordId=holder.id)
    assert kept["lifecycle"]["state"] == "ACTIVATED"
    await world.ask(holder.actor, "requestDeletion", recordId=holder.id)
    await world.pass_time(timedelta(days=30))
    seen = await world.life(holder)
    assert (seen["record"], seen["lifecycle"]["state"]) == (None, "DELETED")
    fresh = await world.ask(holder.actor, "reopenRecord", recordId=holder.id)
    assert fresh["lifecycle"]["state"] == "ACTIVATED"
    assert fresh["lifecycle"]["recordId"] != holder.id
    again = await world.ask(holder.actor, "reopenRecord", recordId=holder.id)
    assert again["lifecycle"]["recordId"] == fresh["lifecycle"]["recordId"]
    assert (await world.life(holder))["record"] == {"id": fresh["lifecycle"]["recordId"]}
    assert await world.journal(holder) == [
        ("OPERATOR", "records.operator-enrols", None, "NOTIFIED"),
        ("SYSTEM", "records.opens-after-notice", "NOTIFIED", "OPEN"),
        ("PATIENT", "records.holder-activates", "OPEN", "ACTIVATED"),
        ("PATIENT", "records.holder-closes", "ACTIVATED", "CLOSED"),
        ("PATIENT", "records.holder-reopens", "CLOSED", "ACTIVATED"),
        ("PATIENT", "records.holder-requests-deletion", "ACTIVATED", "DELETION_REQUESTED"),
        ("PATIENT", "records.holder-cancels-deletion", "DELETION_REQUESTED", "ACTIVATED"),
        ("PATIENT", "records.holder-requests-deletion", "ACTIVATED", "DELETION_REQUESTED"),
        ("SYSTEM", "records.deleted-in-time", "DELETION_REQUESTED", "DELETED"),
    ]
    assert await world.told(holder.actor.person_id) == []  # it went with the record


async def test_a_late_action_meets_what_was_due(world: World) -> None:
    """Without any worker, the record opened at its time and the activation came after."""
    holder = await world.enrolled()
    world.clock.offset += timedelta(weeks=10)
    assert (await world.life(holder))["lifecycle"]["state"] == "OPEN"
    done = await world.ask(holder.actor, "activateRecord", enrolmentCode=holder.code)
    assert done["lifecycle"]["state"] == "ACTIVATED"
    async with world.database.read() as work:
        row = await work.session.get_one(Record, holder.record_id)
    assert row.notified_at and row.opened_at == row.notified_at + timedelta(weeks=6)
    assert [entry[1] for entry in await world.journal(holder)] == [
        "records.operator-enrols",
        "records.opens-after-notice",
        "records.holder-activates",
    ]
    assert await world.told(holder.actor.person_id) == [
        NotificationKind.RECORD_NOTICE,
        NotificationKind.RECORD_OPENED,
    ]


async def test_a_deletion_that_is_due_is_not_taken_back(world: World) -> None:
    holder = await world.enrolled()
    await world.pass_time(timedelta(weeks=6))
    await world.ask(holder.actor, "requestDeletion", recordId=holder.id)
    world.clock.offset += timedelta(days=30)
    late = await world.ask(holder.actor, "cancelDeletion", recordId=holder.id)
    assert late["code"] == "RECORD_CLOSED"
    await world.pass_time(timedelta())
    assert await world.state(holder) is RecordState.DELETED


async def test_opposition_and_its_reversal(world: World) -> None:
    holder = await world.enrolled()
    done = await world.ask(holder.actor, "opposeRecord", recordId=holder.id)
    assert done["lifecycle"]["state"] == "OPPOSED"
    assert done["proofKey"] is None
    assert done["proofUrl"] == f"/records/{holder.id}/opposition-proof"
    again = await world.ask(holder.actor, "opposeRecord", recordId=holder.id)
    assert again == done
    await world.pass_time(timedelta(weeks=60))
    assert await world.state(holder) is RecordState.OPPOSED
    back = await world.ask(holder.actor, "reverseOpposition", recordId=holder.id)
    assert (back["lifecycle"]["state"], back["lifecycle"]["opposedAt"]) == ("OPEN", None)
    assert [entry[1] for entry in await world.journal(holder)] == [
        "records.operator-enrols",
        "records.holder-opposes",
        "records.holder-reverses-opposition",
    ]


@pytest.mark.parametrize("mutation", HOLDERS_MUTATIONS)
async def test_strangers_find_no_record(world: World, mutation: str) -> None:
    holder = await world.enrolled()
    before = await world.journal(holder)
    somebody = (await world.enrolled()).actor
    for actor in [*STRANGERS, somebody]:
        refused = await world.ask(actor, mutation, recordId=holder.id)
        nothing = await world.ask(actor, mutation, recordId=write_id(RecordType, uuid4()))
        assert refused["code"] == "NOT_FOUND"
        assert refused == nothing
    nobody = await world.ask(Anonymous(), mutation, recordId=holder.id)
    assert nobody["code"] == "UNAUTHENTICATED"
    assert await world.state(holder) is RecordState.NOTIFIED
    assert await world.journal(holder) == before


@pytest.mark.parametrize("mutation", HOLDERS_MUTATIONS)
@pytest.mark.parametrize(
    ("kind", "scopes"),
    [
        (DelegationKind.CAREGIVER, ALL_SCOPES),
        (DelegationKind.PARENT, ("DOCUMENTS", "PROFILE")),
    ],
)
async def test_other_delegates_see_and_do_not_decide(
    world: World, mutation: str, kind: DelegationKind, scopes: tuple[str, ...]
) -> None:
    holder = await world.enrolled()
    delegate = await world.delegate(holder, kind, *scopes)
    refused = await world.ask(delegate, mutation, recordId=holder.id)
    assert refused["code"] == "ACCESS_DENIED"
    assert await world.state(holder) is RecordState.NOTIFIED
    assert len(await world.journal(holder)) == 1


async def test_a_parent_decides_until_the_child_is_of_age(world: World) -> None:
    born = (world.clock.now() - timedelta(days=365 * 17 + 200)).date()
    holder = await world.enrolled(born=born.isoformat())
    parent = await world.delegate(holder, DelegationKind.PARENT, *ALL_SCOPES)
    await world.pass_time(timedelta(weeks=6))
    assert NotificationKind.RECORD_OPENED in await world.told(parent.person_id)
    done = await world.ask(parent, "activateRecord", enrolmentCode=holder.code, recordId=holder.id)
    assert done["lifecycle"]["state"] == "ACTIVATED"
    closed = await world.ask(parent, "closeRecord", recordId=holder.id)
    assert closed["lifecycle"]["state"] == "CLOSED"
    async with world.database.read() as work:
        behalf = await work.session.scalars(
            select(JournalEntry.on_behalf_of).where(
                JournalEntry.record_id == holder.record_id,
                JournalEntry.actor_id == parent.person_id,
            )
        )
        assert set(behalf) == {holder.actor.person_id}
    await world.pass_time(timedelta(days=180))
    assert await world.told(holder.actor.person_id) == [
        NotificationKind.RECORD_NOTICE,
        NotificationKind.RECORD_OPENED,
        NotificationKind.MAJORITY,
    ]
    assert NotificationKind.DELEGATION_ENDED in await world.told(parent.person_id)
    refused = await world.ask(parent, "reopenRecord", recordId=holder.id)
    assert refused["code"] == "NOT_FOUND"
    assert (await world.journal(holder))[-1][:2] == ("SYSTEM", "records.holder-is-of-age")
    assert await world.state(holder) is RecordState.CLOSED


async def test_an_operator_suspends_and_resumes(world: World) -> None:
    holder = await world.enrolled()
    operator = Operator(uuid4(), Assurance.SANDBOX)
    number = {"system": INS_NIR, "value": holder.number}
    done = await world.ask(operator, "suspendRecord", identifier=number)
    assert done == {
        "__typename": "SuspendRecordSuccess",
        "recordId": holder.id,
        "state": "SUSPENDED",
    }
    assert await world.ask(operator, "suspendRecord", recordId=holder.id) == done
    await world.pass_time(timedelta(weeks=20))
    assert await world.state(holder) is RecordState.SUSPENDED
    for mutation in HOLDERS_MUTATIONS:
        refused = await world.ask(holder.actor, mutation, recordId=holder.id)
        assert refused["code"] == "RECORD_CLOSED"
    assert (await world.life(holder))["lifecycle"]["availableActions"] == []
    back = await world.ask(operator, "resumeRecord", recordId=holder.id)
    assert back["state"] == "OPEN"  # its notice ran out meanwhile
    for wrong in (
        {"recordId": write_id(RecordType, uuid4())},
        {"identifier": {"system": INS_NIR, "value": "1850599998999"}},
        {"identifier": {"system": "\x00", "value": "\x00"}},
    ):
        assert (await world.ask(operator, "suspendRecord", **wrong))["code"] == "NOT_FOUND"
    assert (await world.ask(operator, "suspendRecord"))["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("mutation", "input"),
    [
        ("suspendRecord", {"recordId": ""}),
        ("resumeRecord", {"recordId": "", "identifier": None}),
        ("activateRecord", {"recordId": "", "enrolmentCode": "ABCD"}),
    ],
)
async def test_an_empty_id_is_no_id_and_not_none(
    world: World, mutation: str, input: dict[str, Any]
) -> None:
    operator = Operator(uuid4(), Assurance.SANDBOX)
    holder = (await world.enrolled()).actor
    # Without an account, activateRecord takes the letter and looks at no id.
    for actor in (operator, holder, *([] if mutation == "activateRecord" else [Anonymous()])):
        answer = await world.ask(actor, mutation, **input)
        assert answer["code"] == "BAD_ID"


@pytest.mark.parametrize("mutation", ["suspendRecord", "resumeRecord"])
async def test_only_operators_suspend(world: World, mutation: str) -> None:
    holder = await world.enrolled()
    for actor in [holder.actor, *STRANGERS[:2]]:
        for id_ in (holder.id, write_id(RecordType, uuid4())):
            assert (await world.ask(actor, mutation, recordId=id_))["code"] == "ACCESS_DENIED"
    assert (await world.ask(Anonymous(), mutation, recordId=holder.id))["code"] == "UNAUTHENTICATED"
    assert await world.state(holder) is RecordState.NOTIFIED
    assert len(await world.journal(holder)) == 1


async def test_the_same_key_acts_once(world: World) -> None:
    holder = await world.enrolled()
    await world.pass_time(timedelta(weeks=6))
    key = str(uuid4())
    first = await world.ask(holder.actor, "closeRecord", recordId=holder.id, idempotencyKey=key)
    await world.ask(holder.actor, "reopenRecord", recordId=holder.id)
    again = await world.ask(holder.actor, "closeRecord", recordId=holder.id, idempotencyKey=key)
    assert first["reference"] and first["lifecycle"]["state"] == "CLOSED"
    assert (again["reference"], again["lifecycle"]["state"]) == (None, "OPEN")
    clash = await world.ask(holder.actor, "reopenRecord", recordId=holder.id, idempotencyKey=key)
    assert clash["code"] == "CONFLICT"


async def test_a_letter_makes_an_account_and_signs_in(world: World) -> None:
    holder = await world.enrolled()
    input = {**holder.letter, "login": "Alix@example.org", "password": PASSWORD}
    early = await world.ask(Anonymous(), "activateRecord", **input)
    assert early["__typename"] == "RecordNotOpen"
    opens = datetime.fromisoformat(early["opensAt"]) - world.clock.now()
    assert timedelta(weeks=6) - timedelta(minutes=1) < opens <= timedelta(weeks=6)
    await world.pass_time(timedelta(weeks=6))
    spelled = holder.code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    done = await world.ask(Anonymous(), "activateRecord", **{**input, "enrolmentCode": spelled})
    assert done["recordId"] == holder.id
    actor = await authenticate(world.database, done["session"]["token"], "127.0.0.1")
    assert isinstance(actor, Patient) and actor.person_id == holder.actor.person_id
    assert (await world.life(holder, actor))["lifecycle"]["state"] == "ACTIVATED"
    again = await world.ask(Anonymous(), "activateRecord", **input)
    assert again["code"] == "CONFLICT"
    other = await world.enrolled()
    await world.pass_time(timedelta(weeks=6))
    taken = {**other.letter, "login": "alix@example.org", "password": PASSWORD}
    refused = await world.ask(Anonymous(), "activateRecord", **taken)
    assert refused["code"] == "CONFLICT"
    assert await world.state(other) is RecordState.OPEN


async def test_wrong_letters_are_one_answer_whatever_is_wrong(world: World) -> None:
    holder = await world.enrolled()
    other = await world.enrolled()
    account = {"login": "alix@example.org", "password": PASSWORD}
    wrong: list[dict[str, Any]] = [
        {"enrolmentCode": other.code},
        {"enrolmentCode": ""},
        {"enrolmentCode": "é" * 1000},
        {"birthDate": "1985-05-05"},
        {"birthDate": "1985"},
        {"identifier": {"system": INS_NIR, "value": other.number}},
        {"identifier": {"system": INS_NIR, "value": "1850599998888"}},
        {"identifier": {"system": "urn:oid:1.2.3", "value": holder.number}},
        {"identifier": {"system": "\x00", "value": "\ud800".encode(errors="replace").decode()}},
    ]
    answers = set()
    for change in wrong:
        world.clock.offset += timedelta(days=2)  # attempts are limited
        input = {**holder.letter, **account, **change}
        refused = await world.ask(Anonymous(), "activateRecord", **input)
        answers.add((refused["code"], refused["message"]))
        letter = {**holder.letter, **change}
        for mutation in ("opposeRecord", "reverseOpposition"):
            refused = await world.ask(Anonymous(), mutation, letter=letter)
            answers.add((refused["code"], refused["message"]))
    assert len(answers) == 1
    assert answers.pop()[0] == "ENROLMENT_FAILED"
    async with world.database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Account)) == 2
    assert len(await world.journal(holder)) == 1


async def test_guessing_codes_is_slowed_for_the_number_and_not_for_others(world: World) -> None:
    holder = await world.enrolled()
    other = await world.enrolled()
    wrong = {**holder.letter, "enrolmentCode": other.code}
    codes = [(await world.ask(Anonymous(), "opposeRecord", letter=wrong))["code"] for _ in range(6)]
    assert codes == ["ENROLMENT_FAILED"] * 5 + ["RATE_LIMITED"]
    right = await world.ask(Anonymous(), "opposeRecord", letter=holder.letter)
    assert right["code"] == "RATE_LIMITED"
    theirs = await world.ask(Anonymous(), "opposeRecord", letter=other.letter)
    assert theirs["recordId"] == other.id
    assert await world.state(holder) is RecordState.NOTIFIED


async def test_opposing_with_a_letter(world: World) -> None:
    holder = await world.enrolled()
    done = await world.ask(Anonymous(), "opposeRecord", letter=holder.letter)
    assert done["proofKey"].startswith("carnet_prf_")
    assert done["lifecycle"] is None
    assert await world.ask(Anonymous(), "opposeRecord", letter=holder.letter) == done
    assert await world.state(holder) is RecordState.OPPOSED
    back = await world.ask(Anonymous(), "reverseOpposition", letter=holder.letter)
    assert back["recordId"] == holder.id
    assert await world.state(holder) is RecordState.OPEN
    assert [(entry[0], entry[1]) for entry in await world.journal(holder)][1:] == [
        ("ANONYMOUS", "records.code-opposes"),
        ("ANONYMOUS", "records.code-reverses-opposition"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"login": "x"},
        {"password": "short"},
        {"birthDate": None},
    ],
)
async def test_what_an_account_lacks_is_said_and_not_counted(
    world: World, change: dict[str, Any]
) -> None:
    holder = await world.enrolled()
    input = {**holder.letter, "login": "alix@example.org", "password": PASSWORD, **change}
    for _ in range(8):
        refused = await world.ask(Anonymous(), "activateRecord", **input)
        assert refused["code"] == "VALIDATION_FAILED"


async def test_a_wrong_code_activates_nothing_for_who_is_signed_in(world: World) -> None:
    holder = await world.enrolled()
    other = await world.enrolled()
    await world.pass_time(timedelta(weeks=6))
    refused = await world.ask(holder.actor, "activateRecord", enrolmentCode=other.code)
    assert refused["code"] == "ENROLMENT_FAILED"
    theirs = await world.ask(
        holder.actor, "activateRecord", enrolmentCode=other.code, recordId=other.id
    )
    assert theirs["code"] == "NOT_FOUND"
    for actor in STRANGERS:
        refused = await world.ask(actor, "activateRecord", enrolmentCode=holder.code)
        assert refused["code"] == "NOT_FOUND"
    assert await world.state(holder) is RecordState.OPEN
    assert await world.state(other) is RecordState.OPEN


async def test_an_activated_record_is_closed_and_not_opposed(world: World) -> None:
    holder = await world.enrolled()
    await world.pass_time(timedelta(weeks=6))
    await world.ask(holder.actor, "activateRecord", enrolmentCode=holder.code)
    refused = await world.ask(holder.actor, "opposeRecord", recordId=holder.id)
    assert refused["code"] == "RECORD_CLOSED"
    by_letter = await world.ask(Anonymous(), "opposeRecord", letter=holder.letter)
    assert by_letter["code"] == "RECORD_CLOSED"
    assert await world.state(holder) is RecordState.ACTIVATED
