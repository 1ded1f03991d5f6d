"""«Not yours» and «does not exist» are one answer, in what goes around a record: calendar, exports,
life cycle, what people are told, and downloads. `test_access_same_answer` has the rest."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import graph
import httpx
import pytest
import scene
import world
from scene import HELD, PLAIN, Scene
from sqlalchemy import select

from carnet.http import exports, proofs
from carnet.http.app import create_app
from carnet.http.content import ROUTES
from carnet.http.services import Services
from carnet.notifications.tables import Notification
from carnet.people.actor import Actor, Anonymous, Assurance, Operator
from carnet.people.tables import Session
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql import documents, records
from carnet_graphql.exports import Export as ExportNode
from carnet_graphql.node import write_id
from carnet_graphql.notifications import Notification as NotificationNode
from carnet_graphql.prevention_items import Appointment
from carnet_graphql.prevention_statements import CalendarFeed, PreventionAct, PreventionFact
from carnet_graphql.sessions import Session as SessionNode

APPOINTMENT = {"title": "Contrôle", "startsOn": "2100-01-01"}
Ids = dict[str, str]


def nobodys() -> Ids:
    """Return an id of each kind that nobody has."""
    kinds: dict[str, Any] = {
        "record": records.Record,
        "document": documents.Document,
        "appointment": Appointment,
        "act": PreventionAct,
        "fact": PreventionFact,
        "feed": CalendarFeed,
        "export": ExportNode,
        "notification": NotificationNode,
        "session": SessionNode,
    }
    return {name: write_id(kind, uuid4()) for name, kind in kinds.items()}


def inputs(ids: Ids) -> list[tuple[str, dict[str, Any]]]:
    """Return each mutation with the input that names these."""
    record = {"recordId": ids["record"]}
    moved = {"appointmentId": ids["appointment"], "sequence": 0, "appointment": APPOINTMENT}
    return [
        ("hideFromRepresentatives", {"documentId": ids["document"]}),
        ("releaseDocument", {"documentId": ids["document"]}),
        ("requestExport", record),
        ("addAppointment", {**record, "appointment": APPOINTMENT}),
        ("changeAppointment", moved),
        ("cancelAppointment", {"appointmentId": ids["appointment"]}),
        ("addPreventionAct", {**record, "act": "FIT"}),
        ("removePreventionStatement", {"statementId": ids["act"]}),
        ("removePreventionStatement", {"statementId": ids["fact"]}),
        ("decidePrevention", {**record, "itemKey": "DEP_COLORECTAL", "choice": "REFUSED"}),
        ("statePreventionFact", {**record, "code": "CHRONIC_RESPIRATORY"}),
        ("statePregnancy", {**record, "beganOn": "2024-01-01"}),
        ("refusePreventionMessages", {**record, "kinds": ["VACCINATION"]}),
        ("importAppointments", {**record, "ics": "BEGIN:VCALENDAR"}),
        ("createCalendarFeed", record),
        ("revokeCalendarFeed", {"feedId": ids["feed"]}),
        ("addVaccinationCertificate", {**record, "certificate": "HC1:x"}),
        ("closeRecord", record),
        ("reopenRecord", record),
        ("opposeRecord", record),
        ("reverseOpposition", record),
        ("requestDeletion", record),
        ("cancelDeletion", record),
        ("markNotificationsRead", {"notificationIds": [ids["notification"]]}),
        ("revokeSession", {"sessionId": ids["session"]}),
    ]


def text(name: str) -> str:
    kind = f"{name[0].upper()}{name[1:]}Input"
    return (
        f"mutation($input: {kind}!) {{ {name}(input: $input) {{ __typename"
        " ... on UserError { code message path } ... on AccessDenied { rule } } }"
    )


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs, hide_results_days=0)


async def furnished(made: Scene) -> Ids:
    """Return the ids of one of everything of the holder's."""
    record = {"recordId": made.record_id}

    async def do(name: str, given: dict[str, Any], asked: str) -> str:
        query = text(name).replace(
            "__typename", f"... on {name[0].upper()}{name[1:]}Success {asked}"
        )
        (answer,) = (await made.run(made.holder, query, input=given)).values()
        ((found,),) = [[value["id"]] for value in answer.values()]
        return str(found)

    async with made.database.write() as work:
        session = Session(
            id=work.new_id(),
            account_id=made.holder.account_id,
            token_hash=bytes(32),
            assurance=Assurance.PASSWORD,
            created_at=work.now,
            last_used_at=work.now,
            expires_at=work.now.replace(year=work.now.year + 1),
        )
        work.session.add(session)
    doctor = await world.professional(made.database)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    async with made.database.read() as work:
        told = await work.session.scalar(
            select(Notification.id).where(Notification.person_id == made.holder.person_id)
        )
    assert told is not None
    act = {**record, "act": "FIT"}
    fact = {**record, "code": "CHRONIC_RESPIRATORY"}
    set_ = {**record, "appointment": APPOINTMENT}
    return {
        "record": made.record_id,
        "document": made.document_id(PLAIN),
        "appointment": await do("addAppointment", set_, "{ appointment { id } }"),
        "act": await do("addPreventionAct", act, "{ act { id } }"),
        "fact": await do("statePreventionFact", fact, "{ fact { id } }"),
        "feed": await do("createCalendarFeed", record, "{ feed { id } }"),
        "export": await do("requestExport", record, "{ export { id } }"),
        "notification": write_id(NotificationNode, told),
        "session": write_id(SessionNode, session.id),
    }


async def strangers(database: Database) -> list[Actor]:
    place = await world.organization(database)
    return [
        await world.holder(database),
        await world.professional(database, place),
        await world.publisher(database),
        Operator(uuid4(), Assurance.CONSOLE),
        Anonymous(),
    ]


async def asked(made: Scene, actor: Actor, query: str, **given: Any) -> tuple[Any, Any, int]:
    """Return the whole answer, and how many SQL statements it took."""
    with scene.statements(made.database) as sent:
        data, errors = await graph.execute(made.database, made.blobs, actor, query, **given)
    return data, errors, len(sent)


async def test_mutations_of_what_is_not_yours(made: Scene, database: Database) -> None:
    theirs = await furnished(made)
    actors = await strangers(database)
    before = await scene.tables(database)
    for actor in actors:
        for (name, real), (_, unreal) in zip(inputs(theirs), inputs(nobodys()), strict=True):
            found = await asked(made, actor, text(name), input=real)
            missing = await asked(made, actor, text(name), input=unreal)
            assert found == missing, (name, actor.kind)
            assert found[0] is None or "code" in found[0][name], (name, actor.kind, found)
    assert await scene.tables(database) == before


async def test_a_hidden_document_is_neither_released_nor_hidden_by_its_holder(made: Scene) -> None:
    before = await scene.tables(made.database)
    for name in ("hideFromRepresentatives", "releaseDocument"):
        answers = [
            await asked(made, made.holder, text(name), input={"documentId": id_})
            for id_ in (made.document_id(HELD), nobodys()["document"])
        ]
        assert answers[0] == answers[1]
        assert answers[0][0][name]["code"] == "NOT_FOUND"
    assert await scene.tables(made.database) == before


async def test_nodes_of_what_is_not_yours(made: Scene, database: Database) -> None:
    theirs = await furnished(made)
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    for actor in await strangers(database):
        answers = [
            await asked(made, actor, query, ids=list(ids.values())) for ids in (theirs, nobodys())
        ]
        assert answers[0] == answers[1], actor.kind
        assert answers[0][0] == {"nodes": [None] * len(theirs)}


def client(made: Scene, actor: Actor) -> httpx.AsyncClient:
    async def authenticate(_database: Database, _token: str, _address: str) -> Actor:
        return actor

    services = Services(
        Settings(),
        made.database,
        made.blobs,
        graph.SCHEMA,
        authenticate,
        graph.gate_of(made.database),
        graph.SIGNER,
        graph.CURSORS,
        graph.FEEDS,
    )
    routes = [*ROUTES, *exports.ROUTES, *proofs.ROUTES]
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(services, routes)),
        base_url="http://127.0.0.1",
        headers={"Authorization": "Bearer t"},
    )


async def test_downloads_of_what_is_not_yours(made: Scene, database: Database) -> None:
    theirs = await furnished(made)
    actors = await strangers(database)
    before = await scene.tables(database)
    for actor in actors:
        none = nobodys()
        async with client(made, actor) as browser:
            for path, kind in (
                ("/documents/{}/content", "document"),
                ("/documents/{}/content?part=7", "document"),
                ("/exports/{}/content", "export"),
                ("/records/{}/opposition-proof", "record"),
                ("/records/{}/closing-proof", "record"),
            ):
                answers = [await browser.get(path.format(ids[kind])) for ids in (theirs, none)]
                told = [
                    (
                        answer.status_code,
                        answer.json()["errors"][0]["message"],
                        sorted(answer.headers),
                    )
                    for answer in answers
                ]
                assert told[0] == told[1], (path, actor.kind)
                assert told[0][0] in (401, 403, 404)
    assert await scene.tables(database) == before
