"""The sandbox's clock moves while subscriptions are open: what ends then ends, the rest goes on."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import reaching
import scene
from following import DOCUMENTS, INBOX
from remote import Follower, Place, Writer, holds

from carnet.clock import MovableClock


async def advance(place: Place, span: str) -> None:
    """Move the clock of all servers of the place."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from carnet.cli import main; main()"),
        *("sandbox", "clock", "--advance", span),
        env=place.env(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said = await process.communicate()
    assert process.returncode == 0, said


async def test_consents_and_sessions_end_and_events_go_on(
    place: Place, made: scene.Scene, clock: MovableClock
) -> None:
    doctor = await reaching.professional(place.database)
    soon = datetime.now(UTC) + timedelta(minutes=30)
    await made.done(
        made.holder,
        "giveConsent",
        recordId=made.record_id,
        grantee={"professionalId": scene.professional_id(doctor)},
        expiresAt=soon.isoformat(),
    )
    variables = {"record": made.record_id}
    holder = await place.token(made.holder)
    async with place.serving() as server:
        own = Follower(holder, DOCUMENTS, variables, [server.port])
        inbox = Follower(holder, INBOX, {}, [server.port])
        theirs = Follower(await place.token(doctor), DOCUMENTS, variables, [server.port])
        writer = Writer(holder, made.record_id, server.port)
        async with own.following(), inbox.following(), theirs.following():
            await writer.deposit("today")
            await theirs.until(lambda: theirs.titles == ["today"])
            await advance(place, "40m")
            await theirs.until(lambda: theirs.errors != [])
            assert theirs.errors[0]["payload"][0]["extensions"]["code"] == "ACCESS_ENDED"
            await writer.deposit("in 40 minutes")
            await holds(place, made.record, [own], writer.acknowledged)
            await inbox.until(lambda: inbox.titles == writer.acknowledged)
            assert theirs.titles == ["today"]
            assert (own.closes, inbox.closes, theirs.closes) == ([], [], [])
            await advance(place, "6w")
            for each in (own, inbox):  # their session is over
                await each.until(lambda each=each: 4401 in each.closes)
                assert each.errors[0]["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        clock.offset = timedelta(minutes=40, weeks=6)
        again = await place.token(made.holder)
        before = ["today", "in 40 minutes"]
        late = Follower(again, DOCUMENTS, variables, [server.port], cursor=own.cursor)
        writer = Writer(again, made.record_id, server.port)
        async with late.following():
            await writer.deposit("in six weeks")
            # What was held back is released in these weeks: told to whoever follows when it is.
            await late.until(lambda: "in six weeks" in late.titles)
            assert own.titles + late.titles in (
                [*before, "in six weeks"],
                [*before, "held", "in six weeks"],
            )
            told = await place.told(made.record)
            first = told.index(late.ids[0])
            assert late.ids == told[first : first + len(late.ids)]
