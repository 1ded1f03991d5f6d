"""Whatever a subscription tells, `node` shows the same viewer at that moment, and no less ends it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import scene
import world
from following import DOCUMENTS, INBOX, JOURNAL, NOTIFICATIONS, Served, Subscription, deposit, until
from happening import tell
from scene import HELD, MASKED, PLAIN, REASON, SECRET
from sqlalchemy import update

from carnet.access.journal import JournalAction
from carnet.access.tables import DelegationScope
from carnet.clock import MovableClock
from carnet.documents.actions import hide_from_representatives
from carnet.documents.tables import Document, DocumentStatus
from carnet.people.actor import Actor, Assurance, Operator
from carnet.store.database import Database
from carnet.store.tables import EventStream
from carnet_graphql import records
from carnet_graphql.node import write_id


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
