"""Whatever a subscription tells, `node` shows the same viewer at that moment, and no less ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import scene
import world
from following import DOCUMENTS, INBOX, JOURNAL, Served, Subscription, deposit, serving, until
from scene import HELD, MASKED, PLAIN, SECRET
from sqlalchemy import func, select, update

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry
from carnet.access.tables import DelegationScope
from carnet.clock import MovableClock
from carnet.documents.actions import hide_from_representatives
from carnet.documents.tables import Document, DocumentStatus
from carnet.people import accounts
from carnet.people.actions import revoke_all_sessions, revoke_session
from carnet.people.actor import CONSOLE, Actor, Assurance, Operator, Patient, Professional
from carnet.people.sessions import authenticate, open_session
from carnet.people.tables import Account
from carnet.records.tables import Record, RecordState
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import Event, EventStream
from carnet_graphql import documents, records
from carnet_graphql.context import Context
from carnet_graphql.node import write_id
from carnet_graphql.reads import Reads

REASON = "Patient inconscient aux urgences"
NOTIFICATIONS = (
    "subscription($after: Cursor) { notifications(after: $after) { __typename"
    " ... on CaughtUp { cursor } ... on NotificationReceived { cursor notification { kind } } } }"
)
DEPOSITED = JournalAction.DEPOSIT_DOCUMENT


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[Served]:
    async with serving(database, blobs) as running:
        yield running


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs)


async def tell(
    made: scene.Scene, names: list[str], action: JournalAction = DEPOSITED, *, is_held: bool = False
) -> None:
    """Have something happen to documents of the scene, as intake writes it."""
    fact = Fact(
        made.record,
        action,
        "publisher.feeds",
        ObjectKind.DOCUMENT,
        tuple(made.documents[name] for name in names),
        is_held=is_held,
    )
    async with made.database.write() as work:
        await write(None, work, [fact])


async def marked(made: scene.Scene) -> str:
    """Deposit something that everybody sees; return its id: what came before it was told or not."""
    return await deposit(made, made.holder, "mark")


async def told_until(following: Subscription, mark: str) -> list[dict[str, Any]]:
    """Return what is told before the document that everybody sees."""
    found: list[dict[str, Any]] = []
    while True:
        event = await following.event()
        if event.get("document", {}).get("id") == mark:
            return found
        found.append(event)


def names_of(made: scene.Scene, events: list[dict[str, Any]]) -> set[str]:
    by_id = {made.document_id(name): name for name in scene.NAMES}
    return {by_id[event["document"]["id"]] for event in events}


async def actors(made: scene.Scene) -> dict[str, Actor]:
    """Return somebody of each kind who sees the record and reads documents in it."""
    database = made.database
    found: dict[str, Actor] = {"holder": made.holder}
    for scope in DelegationScope:
        found[f"delegate {scope}"] = delegate = await world.holder(database)
        await world.delegation(database, made.holder, delegate, frozenset({scope}))
    grantee: dict[str, str]
    for name in ("member", "administrator", "consent", "emergency", "organization"):
        organization = await world.organization(database)
        found[name] = doctor = await world.professional(database, organization)
        grantee = {"professionalId": scene.professional_id(doctor)}
        if name == "organization":
            grantee = {"organizationId": scene.organization_id(organization)}
        given: dict[str, Any] = {"recordId": made.record_id, "grantee": grantee}
        match name:
            case "emergency":
                await made.done(
                    doctor, "openEmergencyAccess", patient=made.patient(), reason=REASON
                )
            case "consent":
                await made.done(made.holder, "giveConsent", **given)
            case "administrator":
                await made.done(made.holder, "nameCareTeamMember", **given, role="ADMINISTRATOR")
            case _:
                await made.done(made.holder, "nameCareTeamMember", **given)
    return found


async def test_nobody_is_told_of_more_than_they_see(served: Served, made: scene.Scene) -> None:
    everybody = await actors(made)
    sees = {name: await made.sees(actor) for name, actor in everybody.items()}
    assert {len(each) for each in sees.values()} > {0, 3}
    for name, actor in everybody.items():
        async with served.connected(actor) as client:
            following = await client.subscribe(DOCUMENTS, record=made.record_id)
            inbox = await client.subscribe(INBOX)
            await following.until_caught_up()
            await inbox.until_caught_up()
            await tell(made, [each for each in scene.NAMES if each != HELD])
            await tell(made, [HELD], is_held=True)
            await tell(made, list(scene.NAMES), JournalAction.CORRECT_DOCUMENT)
            mark = await marked(made)
            if sees[name]:
                told = await told_until(following, mark)
                assert names_of(made, told) == sees[name], name
                assert len(told) == 2 * len(sees[name]), name
            if sees[name] and name in ("holder", "member", "administrator", "organization"):
                assert names_of(made, await told_until(inbox, mark)) == sees[name], name
            again = await client.subscribe(DOCUMENTS, record=made.record_id)
            await again.until_caught_up()


async def test_nothing_is_said_to_be_gone_that_was_never_there(
    served: Served, made: scene.Scene, database: Database, clock: MovableClock
) -> None:
    """Also when its time to be seen would have come since."""
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee)
    async with served.connected(made.holder) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, start = await following.until_caught_up()
    async with served.connected(doctor) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, theirs = await following.until_caught_up()
    gone = [HELD, scene.FRESH, MASKED, PLAIN]
    for name in gone:
        async with database.write() as work:
            await work.session.execute(
                update(Document)
                .where(Document.id == made.documents[name])
                .values(status=DocumentStatus.WITHDRAWN)
            )
        await tell(made, [name], JournalAction.DELETE_DOCUMENT, is_held=name == HELD)
    clock.offset = timedelta(days=40)
    ids = {made.document_id(name): name for name in gone}

    async def told_gone(actor: Actor, after: str) -> set[str]:
        async with served.connected(actor) as client:
            following = await client.subscribe(DOCUMENTS, record=made.record_id, after=after)
            replayed, _ = await following.until_caught_up()
            assert {event["__typename"] for event in replayed} == {"DocumentRemoved"}
            return {ids[event["documentId"]] for event in replayed}

    assert await told_gone(made.holder, start) == {MASKED, PLAIN}
    assert await told_gone(doctor, theirs) == {HELD, scene.FRESH, PLAIN}


async def test_a_mask_that_was_there_already_is_told_to_nobody(
    served: Served, made: scene.Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee)
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    async with served.connected(doctor) as one, served.connected(caregiver) as two:
        theirs = await one.subscribe(DOCUMENTS, record=made.record_id)
        others = await two.subscribe(DOCUMENTS, record=made.record_id)
        await asyncio.gather(theirs.until_caught_up(), others.until_caught_up())
        await made.done(
            made.holder, "maskDocument", documentId=made.document_id(MASKED), masked=True
        )
        async with database.write() as work:
            await hide_from_representatives(made.holder, work, made.documents[SECRET], True)
        mark = await marked(made)
        assert await told_until(theirs, mark) == await told_until(others, mark) == []


async def test_a_cursor_tells_nothing_of_what_is_hidden(served: Served, made: scene.Scene) -> None:
    ends = []
    async with served.connected(made.holder) as client:
        for happens in (False, False, True):
            if happens:
                await tell(made, [HELD], is_held=True)
            for query in (DOCUMENTS, DOCUMENTS, INBOX):
                variables = {"record": made.record_id} if query == DOCUMENTS else {}
                following = await client.subscribe(query, **variables)
                replayed, end = await following.until_caught_up()
                assert replayed == []
                ends.append(end)
        assert len(set(ends)) == len(ends) and len({len(end) for end in ends}) == 1
        for after in (ends[0], ends[1]):  # a salted place is one all the same
            following = await client.subscribe(DOCUMENTS, record=made.record_id, after=after)
            assert (await following.until_caught_up())[0] == []


async def test_not_theirs_is_as_if_it_were_not_there(
    served: Served, made: scene.Scene, database: Database
) -> None:
    await world.holder(database)
    nowhere = write_id(records.Record, uuid4())
    async with served.connected(made.holder) as client:
        own = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, cursor = await own.until_caught_up()
    await until(lambda: len(served.live.tails) == 0)  # they would read meanwhile
    strangers: list[Actor] = [
        await world.holder(database),
        await world.professional(database),
        await world.publisher(database),
        Operator(uuid4(), Assurance.CONSOLE),
    ]
    before = await scene.tables(database)
    for stranger in strangers:
        async with served.connected(stranger) as other:
            for query in (DOCUMENTS, JOURNAL):
                for after in (None, "nonsense", cursor):
                    answers, counts = [], []
                    for record in (made.record_id, nowhere, made.record_id, nowhere):
                        with scene.statements(database) as sent:
                            one = await other.subscribe(query, record=record, after=after)
                            message = await other.hear(one.id)
                        (error,) = message["payload"]
                        error["extensions"].pop("correlationId")
                        answers.append((message["type"], error))
                        counts.append(len(sent))
                    assert answers == answers[:1] * 4
                    assert len(set(counts)) == 1, (query, after, counts)
    assert await scene.tables(database) == before


async def test_a_cursor_of_another_place_is_refused(
    served: Served, made: scene.Scene, database: Database
) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    other = await world.record_of(database, caregiver)
    async with served.connected(caregiver) as client:
        cursors = {}
        for name, query, variables in (
            ("documents", DOCUMENTS, {"record": made.record_id}),
            ("journal", JOURNAL, {"record": made.record_id}),
            ("other", DOCUMENTS, {"record": write_id(records.Record, other)}),
            ("inbox", INBOX, {}),
            ("notifications", NOTIFICATIONS, {}),
        ):
            following = await client.subscribe(query, **variables)
            _, cursors[name] = await following.until_caught_up()
        whole = cursors.pop("documents")
        flipped = [whole[:n] + ("A" if whole[n] != "A" else "B") + whole[n + 1 :] for n in (0, 9)]
        for after in [*cursors.values(), *flipped, whole[:-1], whole + "A", "", "=", "x" * 5000]:
            following = await client.subscribe(DOCUMENTS, record=made.record_id, after=after)
            assert await following.ended() == "BAD_CURSOR", after
    async with served.connected(made.holder) as client:
        following = await client.subscribe(INBOX, after=cursors["inbox"])
        assert await following.ended() == "BAD_CURSOR"


async def test_a_cursor_is_its_viewers(
    served: Served, made: scene.Scene, database: Database
) -> None:
    """Or whoever joins later could be told of what went before they came."""
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    async with served.connected(made.holder) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, cursor = await following.until_caught_up()
    async with served.connected(caregiver) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id, after=cursor)
        assert await following.ended() == "BAD_CURSOR"
    async with served.connected(made.holder) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id, after=cursor)
        await following.until_caught_up()


async def test_an_account_follows_so_many_things_at_once(
    served: Served, made: scene.Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carnet_graphql.subscriptions.hub.MOST_SELECTIONS", 3)
    async with served.connected(made.holder) as one, served.connected(made.holder) as two:
        for client, query in ((one, INBOX), (two, NOTIFICATIONS), (two, DOCUMENTS)):
            variables = {"record": made.record_id} if query is DOCUMENTS else {}
            following = await client.subscribe(query, **variables)
            await following.until_caught_up()
        following = await one.subscribe(JOURNAL, record=made.record_id)
        assert await following.ended() == "RATE_LIMITED"
        again = await one.subscribe(NOTIFICATIONS)  # the same as the other socket's
        await again.until_caught_up()


async def test_places_that_are_no_longer_there(
    served: Served, made: scene.Scene, database: Database
) -> None:
    cursors = served.live.sockets.services.cursors
    async with served.connected(made.holder) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        await following.until_caught_up()
        for n in range(4):
            await deposit(made, made.holder, f"letter {n}")
        told = await following.events(4)
        async with database.read() as work:
            last = await work.session.get_one(EventStream, made.record)
            number = last.last_number

        async def outcome(after: str) -> str:
            following = await client.subscribe(DOCUMENTS, record=made.record_id, after=after)
            message = await client.hear(following.id)
            if message["type"] == "error":
                return str(message["payload"][0]["extensions"]["code"])
            return "OK"

        def place(at: int, event_id: UUID | None = None) -> str:
            return cursors.seal("documentEvents", made.record, made.holder.account_id, at, event_id)

        assert await outcome(told[0]["cursor"]) == "OK"
        assert await outcome(place(number + 1)) == "CURSOR_EXPIRED"  # from the future
        assert await outcome(place(2**63)) == "CURSOR_EXPIRED"
        assert await outcome(place(number, uuid4())) == "CURSOR_EXPIRED"  # of another history
        async with database.write() as work:
            await work.session.execute(
                update(EventStream)
                .where(EventStream.id == made.record)
                .values(pruned_to=number - 1)
            )
        assert await outcome(told[0]["cursor"]) == "CURSOR_EXPIRED"
        assert await outcome(place(0)) == "CURSOR_EXPIRED"
        assert await outcome(told[3]["cursor"]) == "OK"


Lose = Callable[[], Awaitable[Any]]


async def lost_by(
    way: str, made: scene.Scene, clock: MovableClock
) -> tuple[Patient | Professional, Lose]:
    """Return somebody who sees the record, and what takes that from them."""
    database, holder = made.database, made.holder
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    at: dict[str, Any] = {"recordId": made.record_id}
    given: dict[str, Any] = {**at, "grantee": grantee}

    async def later(span: timedelta) -> None:
        clock.offset += span

    match way:
        case "left":
            member = await made.done(holder, "nameCareTeamMember", **given)
            id_ = member["member"]["id"]
            return doctor, lambda: made.done(holder, "endCareTeamMembership", **at, memberId=id_)
        case "blocked":
            await made.done(holder, "nameCareTeamMember", **given)
            return doctor, lambda: made.done(holder, "blockAccess", **given)
        case "consent revoked":
            consent = await made.done(holder, "giveConsent", **given)
            id_ = consent["consent"]["id"]
            return doctor, lambda: made.done(holder, "revokeConsent", **at, consentId=id_)
        case "consent over":
            await made.done(holder, "giveConsent", **given)
            return doctor, lambda: later(timedelta(hours=24, seconds=1))
        case "attested no more":
            await made.done(doctor, "attestConsent", patient=made.patient())
            return doctor, lambda: made.done(
                holder,
                "changeAccessSettings",
                recordId=made.record_id,
                revision=1,
                allowsAttestedConsent=False,
            )
        case "emergency closed" | "emergency over":
            opened = await made.done(
                doctor, "openEmergencyAccess", patient=made.patient(), reason=REASON
            )
            if way == "emergency over":
                return doctor, lambda: later(timedelta(days=3))
            id_ = opened["emergencyAccessId"]
            return doctor, lambda: made.done(holder, "closeEmergencyAccess", emergencyAccessId=id_)
        case "delegation revoked":
            caregiver = await world.holder(database)
            id_ = scene.delegation_id(await world.delegation(database, holder, caregiver))
            return caregiver, lambda: made.done(holder, "revokeDelegation", delegationId=id_)
        case "delegation over":
            caregiver = await world.holder(database)
            end = clock.now() + timedelta(hours=1)
            await world.delegation(database, holder, caregiver, expires_at=end)
            return caregiver, lambda: later(timedelta(hours=1))
        case "closed":

            async def close() -> None:
                async with database.write() as work:
                    await work.session.execute(
                        update(Record)
                        .where(Record.id == made.record)
                        .values(state=RecordState.CLOSED)
                    )
                    changed = Fact(made.record, JournalAction.CHANGE_STATE, "records.holder-closes")
                    await write(holder, work, [changed])

            return holder, close
    raise AssertionError(way)


WAYS = [
    "left",
    "blocked",
    "consent revoked",
    "consent over",
    "attested no more",
    "emergency closed",
    "emergency over",
    "delegation revoked",
    "delegation over",
    "closed",
]


async def ends_within_a_second(following: Subscription, lose: Lose, code: str) -> None:
    await following.until_caught_up()
    await lose()
    began = asyncio.get_running_loop().time()
    assert await following.ended() == code
    assert asyncio.get_running_loop().time() - began < 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_right_that_ends_ends_the_subscription(
    served: Served, made: scene.Scene, clock: MovableClock, way: str
) -> None:
    actor, lose = await lost_by(way, made, clock)
    async with served.connected(actor) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        await ends_within_a_second(following, lose, "ACCESS_ENDED")
        await client.hear_nothing(following.id)
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        assert await following.ended() == "NOT_FOUND"


@pytest.mark.parametrize("way", ["delegation revoked", "delegation over", "closed"])
async def test_a_right_that_ends_ends_the_journal(
    served: Served, made: scene.Scene, clock: MovableClock, way: str
) -> None:
    actor, lose = await lost_by(way, made, clock)
    async with served.connected(actor) as client:
        following = await client.subscribe(JOURNAL, record=made.record_id)
        await ends_within_a_second(following, lose, "ACCESS_ENDED")


class Interrupted(Reads):
    """Reads during which something happens, after the last row was read."""

    happens: Lose | None = None

    async def note(self, actor: Actor, database: Database) -> Any:
        happens, Interrupted.happens = Interrupted.happens, None
        if happens is not None:
            await happens()
        return await super().note(actor, database)


@pytest.mark.parametrize("way", ["blocked", "consent over", "delegation revoked"])
@pytest.mark.parametrize("is_replayed", [False, True])
async def test_a_right_lost_while_an_event_is_rendered(
    served: Served, made: scene.Scene, clock: MovableClock, way: str, is_replayed: bool
) -> None:
    actor, lose = await lost_by(way, made, clock)
    hub, services = served.live.hub, served.live.sockets.services

    def new_context(of: Actor) -> Context:
        return replace_reads(services.context(of))

    hub._shared = replace(hub._shared, new_context=new_context)
    async with served.connected(actor) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, start = await following.until_caught_up()
        if is_replayed:
            await client.say("complete", id=following.id)
            await until(lambda: len(hub) == 0)
        Interrupted.happens = None if is_replayed else lose
        await deposit(made, made.holder, "not theirs")
        if is_replayed:
            Interrupted.happens = None
            context = services.context(actor)
            assert context.reads.written is None
            following = await client.subscribe(DOCUMENTS, record=made.record_id)
            await following.until_caught_up()
            Interrupted.happens = lose
            following = await client.subscribe(DOCUMENTS, record=made.record_id, after=start)
        message = await client.hear(following.id)
        assert message["type"] == "error", message
        expected = {"ACCESS_ENDED", "RIGHTS_CHANGED", "NOT_FOUND"}
        assert message["payload"][0]["extensions"]["code"] in expected
    Interrupted.happens = None


def replace_reads(context: Context) -> Context:
    context.reads = Interrupted()
    return context


async def signed_in(database: Database, actor: Patient | Professional) -> tuple[str, UUID]:
    async with database.write() as work:
        account = await work.session.get_one(Account, actor.account_id)
        opened = await open_session(work, account, Assurance.PASSWORD)
        return opened.token, opened.session_id


@pytest.mark.parametrize("way", ["signed out", "elsewhere", "all", "idle", "expired", "disabled"])
async def test_a_session_that_ends_ends_the_socket(
    served: Served, made: scene.Scene, database: Database, clock: MovableClock, way: str
) -> None:
    holder = made.holder
    token, session_id = await signed_in(database, holder)
    other, _ = await signed_in(database, holder)
    acting = await authenticate(database, other, "")

    async def happens() -> None:
        if way in ("idle", "expired"):
            clock.offset += timedelta(days=1000) if way == "expired" else timedelta(days=31)
            return
        async with database.write() as work:
            match way:
                case "signed out":
                    own = await authenticate(database, token, "")
                    await revoke_session(own, work, session_id)
                case "elsewhere":
                    await revoke_session(acting, work, session_id)
                case "all":
                    await revoke_all_sessions(acting, work)
                case "disabled":
                    await accounts.disable_account(CONSOLE, work, holder.account_id)

    async with served.connected(token=token) as client:
        subscriptions = [
            await client.subscribe(DOCUMENTS, record=made.record_id),
            await client.subscribe(INBOX),
            await client.subscribe(NOTIFICATIONS),
            await client.subscribe(JOURNAL, record=made.record_id),
        ]
        for following in subscriptions:
            await following.until_caught_up()
        await happens()
        began = asyncio.get_running_loop().time()
        await client.connection.wait_closed()
        assert asyncio.get_running_loop().time() - began < 1
        assert client.connection.close_code == 4401


async def test_an_access_token_ends_with_its_time(
    served: Served, made: scene.Scene, clock: MovableClock
) -> None:
    actor = replace(
        made.holder,
        assurance=Assurance.IDENTITY_PROVIDER,
        expires_at=clock.now() + timedelta(minutes=5),
    )
    async with served.connected(actor) as client:
        following = await client.subscribe(INBOX)
        await following.until_caught_up()
        clock.offset += timedelta(minutes=5, seconds=1)
        began = asyncio.get_running_loop().time()
        await client.connection.wait_closed()
        assert asyncio.get_running_loop().time() - began < 1
        assert client.connection.close_code == 4401


async def test_a_session_that_ended_before_anybody_listened_is_noticed(
    served: Served, made: scene.Scene, database: Database
) -> None:
    """It ends after it was looked at, and all have heard of it before the group is there."""
    token, session_id = await signed_in(database, made.holder)
    hub = served.live.hub
    let_in = hub._let_in

    async def slowly(*given: Any) -> Any:
        found = await let_in(*given)
        hub._let_in = let_in  # type: ignore[method-assign]
        async with database.write() as work:
            await revoke_session(made.holder, work, session_id)
        await first.connection.wait_closed()
        return found

    async with served.connected(token=token) as first, served.connected(token=token) as second:
        following = await first.subscribe(INBOX)
        await following.until_caught_up()
        hub._let_in = slowly  # type: ignore[method-assign]
        keeper = await second.subscribe(NOTIFICATIONS)
        await first.connection.wait_closed()
        began = asyncio.get_running_loop().time()
        await second.connection.wait_closed()
        assert asyncio.get_running_loop().time() - began < 2
        assert second.connection.close_code == 4401
        assert keeper.id


async def entries(database: Database, action: str) -> int:
    async with database.read() as work:
        counted = select(func.count()).where(JournalEntry.action == action)
        return await work.session.scalar(counted) or 0


async def test_what_journal_events_show_is_written_down_once(
    served: Served, made: scene.Scene, database: Database
) -> None:
    """And ends: the entry of a read that an event made is an event that shows it again."""
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    query = (
        "subscription($record: ID!) { journalEvents(record: $record) { __typename"
        " ... on CaughtUp { cursor }"
        " ... on JournalEntryAdded { entry { action documents { title } } } } }"
    )
    async with served.connected(caregiver) as client:
        following = await client.subscribe(query, record=made.record_id)
        events, _ = await following.until_caught_up()
        assert await entries(database, "READ_JOURNAL") == 1
        for _ in range(3):
            await tell(made, [PLAIN], JournalAction.CORRECT_DOCUMENT)
        while len(events) < 5:
            events.append(await following.event())
        shown = [event["entry"] for event in events]
        told = [(e["action"], [each["title"] for each in e["documents"]]) for e in shown]
        assert told.count(("CORRECT_DOCUMENT", [PLAIN])) == 3
        assert told.count(("READ_DOCUMENT", [PLAIN])) == 1
        assert told.count(("READ_JOURNAL", [])) == 1
        await client.hear_nothing(following.id)
    assert await entries(database, "READ_JOURNAL") == 1
    assert await entries(database, "READ_DOCUMENT") == 1


async def test_what_document_events_show_is_written_down_once_for_a_selection(
    served: Served, made: scene.Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee)
    async with served.connected(doctor) as one, served.connected(doctor) as two:
        same = [await one.subscribe(DOCUMENTS, record=made.record_id) for _ in range(3)]
        same += [await two.subscribe(DOCUMENTS, record=made.record_id)]
        for following in same:
            await following.until_caught_up()
        before = await entries(database, "READ_DOCUMENT")
        await tell(made, [PLAIN, MASKED])
        for following in same:
            assert (await following.event())["document"]["title"] == PLAIN
        await tell(made, [MASKED])
        assert await entries(database, "READ_DOCUMENT") == before + 1


async def test_all_versions_that_go_are_told(
    served: Served, made: scene.Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee)
    first = await deposit(made, made.holder, "letter")
    async with database.write() as work:
        (id_,) = await work.session.scalars(select(Document.id).where(Document.title == "letter"))
        row = await work.session.get_one(Document, id_)
        values = {
            column.name: getattr(row, column.name)
            for column in Document.__table__.columns
            if column.computed is None
        }
        second = work.new_id()
        row.status = DocumentStatus.SUPERSEDED
        values |= {"id": second, "version": 2, "unique_id": str(second)}
        work.session.add(Document(**values))
    async with served.connected(doctor) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        await following.until_caught_up()
        await made.done(made.holder, "maskDocument", documentId=first, masked=True)
        gone = {(await following.event())["documentId"] for _ in range(2)}
        assert gone == {first, write_id(documents.Document, second)}


async def test_events_are_only_there_with_their_change(database: Database) -> None:
    holder = await world.holder(database)
    record_id = await world.record_of(database, holder)
    document_id = await world.document(database, record_id)
    fact = Fact(record_id, DEPOSITED, "publisher.feeds", ObjectKind.DOCUMENT, (document_id,))
    async with database.write() as work:
        with pytest.raises(RuntimeError):
            async with work.savepoint():
                await write(None, work, [fact])
                raise RuntimeError
        assert work.events == [] and work.grown == {}
        await write(None, work, [fact])
    async with database.read() as work:
        told = list(await work.session.scalars(select(Event).where(Event.stream_id == record_id)))
        assert [(event.number, event.subject_id) for event in told] == [(1, document_id)]
