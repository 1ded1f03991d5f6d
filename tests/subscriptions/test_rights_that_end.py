"""A right, a session or a token that ends takes its subscriptions with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import scene
import world
from following import DOCUMENTS, INBOX, JOURNAL, NOTIFICATIONS, Served, Subscription, deposit, until
from scene import REASON
from sqlalchemy import update

from carnet.access.journal import Fact, JournalAction, write
from carnet.clock import MovableClock
from carnet.people import accounts
from carnet.people.actions import revoke_all_sessions, revoke_session
from carnet.people.actor import CONSOLE, Actor, Assurance, Patient, Professional
from carnet.people.sessions import authenticate, open_session
from carnet.people.tables import Account
from carnet.records.tables import Record, RecordState
from carnet.store.database import Database
from carnet_graphql.context import Context
from carnet_graphql.reads import Reads

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
