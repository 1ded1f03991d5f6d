"""A server sends what is queued by itself, over the channels that it has."""

from __future__ import annotations

import asyncio
from pathlib import Path

import graph
import telling
import world
from mailing import Mailbox, smtp_server
from pushing import PushService, push_service
from sqlalchemy import select

from carnet.cli.jobs import RECURRING, handlers, recurring
from carnet.cli.upkeep import upkeep
from carnet.cli.workspace import Workspace
from carnet.notifications.channels import Channels
from carnet.notifications.delivering import JOBS
from carnet.notifications.tables import Channel, DeliveryState
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import Job


def opened(database: Database, blobs: BlobStore, channels: Channels) -> Workspace:
    return Workspace(Settings(), database, blobs, graph.SIGNER, b"s" * 32, channels)


async def test_what_people_are_told_goes_out_while_a_push_service_hangs(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    patient = await world.holder(database, born="1980")  # not to the day: nothing falls due
    async with smtp_server(Mailbox()) as mailbox, push_service(PushService()) as service:
        await telling.with_address(database, mailbox, patient)
        await telling.with_browser(database, patient, service.browser())
        service.may_answer.clear()
        channels = Channels(telling.mail_sender(mailbox), telling.push_sender(tmp_path))
        async with upkeep(opened(database, blobs, channels)):
            await telling.tell(database, patient, times=3)
            await mailbox.until(mails=4)
            await telling.tell(database, patient)
            await mailbox.until(mails=5)
            assert service.pushed == []
            service.may_answer.set()
        assert len({pushed.payload["tag"] for pushed in service.pushed}) == len(service.pushed)
    rows = await telling.deliveries(database)
    sent = {row.notification_id for row in rows if row.channel is Channel.EMAIL}
    assert len(sent - {None}) == 4
    async with database.read() as work:
        jobs = list(await work.session.scalars(select(Job)))
    assert {job.kind for job in jobs} == {*RECURRING, *JOBS.values()}
    assert {job.leased_by for job in jobs} == {None}


async def test_a_server_without_a_channel_leaves_its_queue_to_others(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    patient = await world.holder(database, born="1980")  # not to the day: nothing falls due
    async with push_service(PushService()) as service:
        await telling.with_browser(database, patient, service.browser())
        await telling.tell(database, patient)
        without = opened(database, blobs, Channels())
        assert set(recurring(without)) == set(RECURRING)
        assert set(handlers(without)).isdisjoint(JOBS.values())
        async with upkeep(without), asyncio.timeout(60):
            while not await _jobs(database):
                pass
        assert [row.attempts for row in await telling.deliveries(database)] == [0]
        push = Channels(push=telling.push_sender(tmp_path))
        async with upkeep(opened(database, blobs, push)), asyncio.timeout(60):
            while await _queued(database):
                pass
        assert len(service.pushed) == 1


async def _jobs(database: Database) -> bool:
    async with database.read() as work:
        return await work.session.scalar(select(Job.id).limit(1)) is not None


async def _queued(database: Database) -> bool:
    rows = await telling.deliveries(database)
    return any(row.state is DeliveryState.QUEUED for row in rows)
