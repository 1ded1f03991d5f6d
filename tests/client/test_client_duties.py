"""What the protocol lays on a client beside reading and writing: each thing that it has to notice,
to remember, or to refuse, against a real server whose line lies or breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import world
from lying_line import LyingLine, refusal
from talking import SOON, Talk, talk, until, words

from carnet.clock import MovableClock
from carnet.messaging import directory as server_directory
from carnet.messaging.tables import MessagingAccountKind
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client import errors, events
from carnet_client.accounts import Owner
from carnet_client.conversation import Conversation
from carnet_client.errors import RateLimited, Unreachable, Unsafe, UserMistake
from carnet_client.messenger import Messenger
from carnet_crypto.directory import HandleClass
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.kinds import Scope
from carnet_crypto.secret import conversation, identity
from carnet_crypto.secret.content import Complaint
from carnet_crypto.secret.generations import open_generations
from carnet_crypto.secret.header import Kind

HOUR = timedelta(hours=1)
THREAD = ("Thread", "Control")  # the operations that read a thread


@pytest.fixture
async def meeting(
    database: Database, blobs: BlobStore, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Talk]:
    async with talk(database, blobs, clock, tmp_path) as found:
        yield found


async def again(
    meeting: Talk, messenger: Messenger, name: str, line: LyingLine | None = None
) -> Messenger:
    """Close a profile as a crash does, with nothing kept that was not before, and open it again."""
    await messenger.__aexit__(None, None, None)
    return await meeting.client(name, transport=line)


async def lied_to(meeting: Talk) -> tuple[LyingLine, Messenger, Conversation, Conversation]:
    """Return a line, the patient behind it, and a conversation as the doctor and they see it."""
    _, patient, theirs, mine = await meeting.talking()
    line = LyingLine()
    patient = await again(meeting, patient, "patient", line)
    return line, patient, theirs, await patient.thread(mine.id)


def alarms(messenger: Messenger) -> list[type[events.Alarm]]:
    return [type(alarm) for alarm in messenger.alarms]


async def rotate(seen: Conversation) -> None:
    """Begin an epoch."""
    await seen._threads.rotate(seen._room)


# --- what others say that does not hold


async def test_after_an_entry_that_does_not_hold_nobody_writes(meeting: Talk) -> None:
    line, patient, theirs, mine = await lied_to(meeting)
    await rotate(theirs)

    def forge(_: dict[str, Any], answer: dict[str, Any]) -> None:
        page = answer["data"]["node"]["controlEntries"]
        for edge in page["edges"]:
            entry = bytearray(from_base64url(edge["node"]["entry"]))
            entry[-1] ^= 1
            edge["node"]["entry"] = to_base64url(bytes(entry))
        page["pageInfo"]["hasNextPage"] = True

    line.lies.update(dict.fromkeys(THREAD, forge))
    async with asyncio.timeout(SOON):
        for _ in range(2):
            with pytest.raises(Unsafe) as refused:
                await mine.send("words")
            assert isinstance(refused.value.alarm, events.UnauthorizedEntry)
        with pytest.raises(Unsafe):
            await mine.leave()
    assert line.variables("SendMessage") == line.variables("AppendControlEntry") == []
    assert alarms(patient) == [events.UnauthorizedEntry]


async def test_what_a_members_delegate_changes_is_read_with_the_mandate(meeting: Talk) -> None:
    """A chain that was read before the mandate was given says nothing of it: it is read again. And
    once the delegate has another key, the account has too."""
    child = await world.holder(meeting.database, born="2020-05-04")
    await world.parent(meeting.database, child, meeting.patient)
    await world.care_team(meeting.database, child, meeting.doctor)
    doctor, patient = await meeting.both()
    enrolment = await patient.enrol(Owner(record_id=await patient.record_of("alix")))
    account = await enrolment.confirm(enrolment.code)
    (info,) = [each for each in await doctor.people() if each.id == account]
    theirs = await doctor.open_thread([info])
    mine = await patient.thread(theirs.id)

    parent, own = patient._core.own(), patient._core.acting(account)
    known, at, entropy = patient._directory.accounts, meeting.now(), patient._core.entropy
    keys = open_generations(known[account], own.device)
    assert own.root is not None and parent.root is not None
    given = identity.delegate(
        known[account],
        own.root,
        keys[max(keys)],
        known[parent.id],
        Scope.BOTH,
        at - 1000,
        at + 3_600_000,
        at,
        entropy,
    )
    await patient._core.relay.append(account, [given])
    await patient._directory.look([account])
    checkpoint = patient._directory.checkpoint
    writer = conversation.Writer(known[parent.id], parent.device, checkpoint, at, entropy)
    members = {id_: known[id_] for id_ in mine.members}
    made = conversation.rotate(writer, mine._room.view.thread, members)
    await patient._core.relay.append_control(mine.id, made.entry, made.wraps, made.history)
    await theirs.read()
    assert theirs._room.view.thread.epoch.number == 2
    await theirs.send("How is the child?")

    keys = open_generations(known[parent.id], parent.device)
    renewed, _ = identity.rotate_aek(known[parent.id], parent.root, keys[1], {}, at, entropy)
    await patient._core.relay.append(parent.id, [renewed])
    await mine.send("Better")
    assert len(known[account].generations) == 2
    assert [m.text for m in await theirs.read()] == ["How is the child?", "Better"]
    assert doctor.alarms == patient.alarms == ()


async def test_what_an_entry_says_of_the_log_is_compared(meeting: Talk) -> None:
    """A relay that shows two logs is found out by CREATE alone; one that is busy is not blamed."""
    _, patient, _, mine = await meeting.talking()
    await meeting.enrolled("third", await world.holder(meeting.database))  # the log grows
    line, asked = LyingLine(), [0]

    def busy(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any] | None:
        asked[0] += 1  # the first is our own step to the newest checkpoint
        extensions = {"code": "RATE_LIMITED", "retryAfter": 3600}
        error = {"message": "Too many attempts.", "extensions": extensions}
        return None if asked[0] == 1 else {"data": None, "errors": [error]}

    line.lies["Consistency"] = busy
    patient = await again(meeting, patient, "patient", line)
    with pytest.raises(RateLimited):
        await patient.thread(mine.id)
    assert patient.alarms == ()

    def other_log(_: dict[str, Any], answer: dict[str, Any]) -> None:
        answer["data"]["keyDirectory"]["consistencyProof"].reverse()
        answer["data"]["keyDirectory"]["consistencyProof"].append(to_base64url(bytes(32)))

    line.lies["Consistency"] = other_log
    await patient.thread(mine.id)
    assert alarms(patient) == [events.SplitView]
    patient.dismiss(patient.alarms[0])
    line.lies.clear()
    await (await patient.thread(mine.id)).send("words")
    assert patient.alarms == ()


async def test_a_reader_reads_again_the_chains_of_those_who_write(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    await mine.send("one")
    thief = await meeting.client("thief", meeting.patient)
    await thief.recover(meeting.codes["patient"], keep_others=True)
    meeting.clock.offset += HOUR
    await theirs.read()
    assert words(theirs) == ["one"]
    assert len(doctor._directory.accounts[patient.account].devices) == 2


async def test_a_key_that_is_missing_is_complained_of_once(meeting: Talk) -> None:
    line, patient, theirs, mine = await lied_to(meeting)
    await rotate(theirs)

    def keep_back(_: dict[str, Any], answer: dict[str, Any]) -> None:
        node = answer["data"]["node"]
        node["wraps"] = [wrap for wrap in node["wraps"] if wrap["epoch"] != 2]

    line.lies.update(dict.fromkeys(THREAD, keep_back))
    await mine.read()
    entry = theirs._room.view.thread.head
    assert list(patient.alarms) == [events.MissingKey(mine.id, entry)]
    for _ in range(2):
        await mine.complain()
    await theirs.read()
    contents = [shown.content for shown in theirs._room.view.shown.values()]
    assert [c.reference for c in contents if isinstance(c, Complaint)] == [entry]
    assert await mine.send("words") == 2
    assert [m.text for m in await theirs.read()] == ["words"]


async def test_who_begins_to_follow_is_told_of_their_own_devices(meeting: Talk) -> None:
    """Without any conversation being read."""
    patient = await meeting.enrolled("patient", meeting.patient)
    thief = await meeting.client("thief", meeting.patient)
    await thief.recover(meeting.codes["patient"], keep_others=True)
    ghost = events.GhostDevice(thief._core.own().device.id)
    await until(patient, lambda event: event == ghost)
    assert patient.alarms == (ghost,)


# --- who somebody is


async def test_a_doctor_is_found_by_their_number_again_and_again(meeting: Talk) -> None:
    doctor, patient = await meeting.both()
    number = (await doctor.viewer()).register_id
    assert number is not None
    for _ in range(2):
        assert (await patient.find(number)).id == doctor.account
    assert patient.alarms == ()


async def test_a_binding_of_another_class_is_none(
    meeting: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = server_directory.HANDLES
    monkeypatch.setitem(classes, MessagingAccountKind.PROFESSIONAL, HandleClass.PATIENT)
    doctor, patient = await meeting.both()
    number = (await doctor.viewer()).register_id
    assert number is not None
    with pytest.raises(Unsafe):
        await patient.find(number)
    (info,) = [each for each in await patient.people() if each.id == doctor.account]
    with pytest.raises(Unsafe):
        await patient.open_thread([info])
    assert alarms(patient) == [events.UnprovenDirectory]


async def test_another_account_of_a_doctor_is_told_and_the_one_before_refused(
    meeting: Talk,
) -> None:
    doctor, patient = await meeting.both()
    number = (await doctor.viewer()).register_id
    assert number is not None
    line = LyingLine()
    patient = await again(meeting, patient, "patient", line)
    before = (await patient.find(number)).id
    recorded = list(line.answered)
    anew = await meeting.client("anew", meeting.doctor)
    enrolment = await anew.enrol(is_anew=True)
    account = await enrolment.confirm(enrolment.code)
    assert (await patient.find(number)).id == account
    assert list(patient.alarms) == [events.ChangedSafetyNumber(account)]

    def replay(name: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
        shown = [(asked, answer) for each, asked, answer in recorded if each == name]

        def answer(variables: dict[str, Any]) -> dict[str, Any] | None:
            wanted = variables.get("ids")
            return next((then for asked, then in shown if asked.get("ids") == wanted), None)

        return answer

    line.instead = {name: replay(name) for name in ("CareTeam", "Chains")}
    with pytest.raises(Unsafe) as refused:
        await patient.find(number)
    assert refused.value.alarm == events.UnprovenDirectory(before)


# --- what is remembered, and when


async def test_what_an_entry_stands_upon_is_kept_before_it_is_sent(meeting: Talk) -> None:
    line, patient, theirs, mine = await lied_to(meeting)
    await rotate(theirs)
    line.cut_before.add("AppendControlEntry")
    with pytest.raises(Unreachable):
        await mine.leave()
    patient = await again(meeting, patient, "patient")
    assert patient._core.state.thread(mine.id).control == (1, theirs._room.view.thread.head)


async def test_a_device_that_was_added_is_known_after_a_crash(meeting: Talk) -> None:
    line, patient, _theirs, mine = await lied_to(meeting)
    line.cut_after.add("AppendMessagingAccountEntries")
    phone = await meeting.client("phone", meeting.patient)
    joining, admitting = phone.join(SOON), patient.admit(SOON)
    answer = await admitting.scan(joining.qr)
    found = await asyncio.gather(
        joining.by_answer(answer), admitting.finish(), return_exceptions=True
    )
    assert found[0] == patient.account and isinstance(found[1], Unreachable), found
    patient = await again(meeting, patient, "patient")
    assert await (await patient.thread(mine.id)).send("words") == 1
    assert patient.alarms == ()


async def test_a_profile_that_is_recovered_writes_from_number_one(meeting: Talk) -> None:
    _, patient, theirs, mine = await meeting.talking()
    await mine.send("one")
    await theirs.read()  # who reads it later than its device was revoked is not shown it
    await patient.recover(meeting.codes["patient"])
    patient = await again(meeting, patient, "patient")
    assert await (await patient.thread(mine.id)).send("two") == 2
    assert {m.text for m in await theirs.read()} == {"one", "two"}


async def test_a_recovery_that_is_refused_leaves_the_device_that_was(meeting: Talk) -> None:
    line, patient, _theirs, mine = await lied_to(meeting)
    device = patient._core.own().device.id
    refused = refusal("appendMessagingAccountEntries", "StaleChain")
    line.instead["AppendMessagingAccountEntries"] = lambda _: refused
    with pytest.raises(errors.StaleChain):
        await patient.recover(meeting.codes["patient"])
    patient = await again(meeting, patient, "patient")
    assert patient._core.own().device.id == device
    assert await (await patient.thread(mine.id)).send("words") == 1


async def test_nothing_is_signed_in_the_place_of_what_a_relay_hides(meeting: Talk) -> None:
    line, patient, theirs, mine = await lied_to(meeting)

    def hide(_: dict[str, Any], answer: dict[str, Any]) -> None:
        page = {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
        answer["data"]["node"]["messages"] = page

    stale = refusal("sendMessage", "StaleSequence", "STALE_SEQUENCE", expected=2)
    line.lies = {"SendMessage": lambda _, __: stale, "Thread": hide}
    for text in ("one", "two"):
        with pytest.raises(Unsafe) as refused:
            await mine.send(text)
        assert refused.value.alarm == events.RolledBack(mine.id)
    assert len({each["input"]["envelope"] for each in line.variables("SendMessage")}) == 1
    line.lies = {}
    assert await mine.send("three") == 2
    assert [m.text for m in await theirs.read()] == ["one", "three"]
    assert alarms(patient) == [events.RolledBack]


async def test_a_log_that_is_said_to_have_grown_has_to_be_shown(meeting: Talk) -> None:
    line, patient, _theirs, mine = await lied_to(meeting)
    line.instead = {
        "SendMessage": lambda _: refusal("sendMessage", "StaleControlHead"),
        "AppendControlEntry": lambda _: refusal("appendControlEntry", "StaleControlHead"),
    }
    for attempt in (mine.send("words"), mine.leave()):
        with pytest.raises(Unsafe):
            await attempt
    assert [len(line.variables(name)) for name in line.instead] == [1, 1]
    assert alarms(patient) == [events.RolledBack]


async def test_what_a_revoked_device_changed_last_waits_for_somebodys_word(meeting: Talk) -> None:
    """A restart is nobody's word; the user's is, and is kept."""
    _doctor, _patient, theirs, mine = await meeting.talking()
    new = await meeting.client("new", meeting.doctor)
    await new.recover(meeting.codes["doctor"])
    for _ in range(2):
        seen = await new.thread(theirs.id)
        with pytest.raises(UserMistake, match="revoked since"):
            await seen.send("words")
        new = await again(meeting, new, "new")
    await (await new.thread(theirs.id)).trust_last_change()
    new = await again(meeting, new, "new")
    assert await (await new.thread(theirs.id)).send("words") == 1
    assert [m.text for m in await mine.read()] == ["words"]


# --- what the relay refuses


async def test_every_refusal_of_a_message_is_said_in_a_line_and_leaves_nothing(
    meeting: Talk,
) -> None:
    line, patient, theirs, mine = await lied_to(meeting)
    for kind in ("QuotaExceeded", "ThreadClosed", "AccessDenied", "NotFound", "Conflict"):
        line.instead["SendMessage"] = lambda _, kind=kind: refusal("sendMessage", kind)
        with pytest.raises(getattr(errors, kind)) as refused:
            await mine.send("words")
        assert str(refused.value) == f"Not so: {kind}."
        assert mine._room.memory.unsent is None
    line.instead["OpenThread"] = lambda _: refusal("openThread", "NotAllowedToOpen")
    with pytest.raises(errors.NotAllowedToOpen):
        await patient.open_thread(
            [each for each in await patient.people() if each.id != mine.account]
        )
    line.instead = {}
    assert await mine.send("words") == 1
    assert [m.text for m in await theirs.read()] == ["words"]


async def test_an_epoch_that_the_relay_finds_due_is_begun_and_not_for_ever(meeting: Talk) -> None:
    line, patient, theirs, mine = await lied_to(meeting)
    due = refusal("sendMessage", "RotationDue")
    once = [due]
    line.instead["SendMessage"] = lambda _: once.pop() if once else None
    assert await mine.send("one") == 1
    assert mine._room.view.thread.epoch.number == 2
    line.instead["SendMessage"] = lambda _: due
    with pytest.raises(UserMistake, match="too fast"):
        await mine.send("two")
    assert len(line.variables("SendMessage")) <= 8
    assert [m.text for m in await theirs.read()] == ["one"]
    assert patient.alarms == ()


async def test_a_chain_that_is_said_to_have_grown_has_to_be_shown(meeting: Talk) -> None:
    """Else a second entry of one number would be signed, for the relay to choose from."""
    line, patient, _theirs, _mine = await lied_to(meeting)
    thief = await meeting.client("thief", meeting.patient)
    await thief.recover(meeting.codes["patient"], keep_others=True)
    refused = refusal("appendMessagingAccountEntries", "StaleChain")
    line.instead["AppendMessagingAccountEntries"] = lambda _: refused
    with pytest.raises(Unsafe) as raised:
        await patient.revoke_device(thief._core.own().device.id)
    assert raised.value.alarm == events.RolledBack(account=patient.account)
    assert len(line.variables("AppendMessagingAccountEntries")) == 1


# --- what is over, and what is due


async def test_what_a_closed_account_said_stays_and_it_gets_no_key_more(meeting: Talk) -> None:
    _doctor, patient, theirs, mine = await meeting.talking()
    await mine.send("one")
    own = patient._core.own()
    assert own.root is not None
    account = patient._directory.accounts[own.id]
    closed = identity.close(account, own.root, meeting.now())
    await patient._core.relay.append(own.id, [closed])
    assert [m.text for m in await theirs.read()] == ["one"]
    with pytest.raises(UserMistake, match="closed their account"):
        await rotate(theirs)
    with pytest.raises(errors.ClientError):
        await mine.send("two")
    await theirs.remove(own.id)
    assert theirs.members == [theirs.account]
    assert words(theirs) == ["one"]


async def test_what_was_read_is_answered_within_a_day(meeting: Talk) -> None:
    line, patient, theirs, mine = await lied_to(meeting)
    await mine.send("one")
    await theirs.send("two")
    await mine.read()
    await patient.beat()
    assert len(line.variables("SendMessage")) == 1
    meeting.clock.offset += 25 * HOUR
    for _ in range(2):
        await patient.beat()
    assert len(line.variables("SendMessage")) == 2
    await theirs.read()
    last = theirs._room.view.in_order()[-1]
    two = next(m for m in theirs.messages if m.text == "two")
    assert last.header.kind is Kind.RECEIPT and last.header.heads == (two.id,)
    assert words(theirs) == ["one", "two"] and theirs.messages[1].read_by == frozenset()


async def test_three_tries_that_failed_end_adding_devices(meeting: Talk) -> None:
    patient = await meeting.enrolled("patient", meeting.patient)
    phone = await meeting.client("phone", meeting.patient)
    for _ in range(3):
        side = await patient.admit(SOON)._begin()
        side.refuse()
    with pytest.raises(UserMistake, match="Three tries"):
        await patient.admit(SOON).scan(phone.join(SOON).qr)
    assert len(await patient.devices()) == 1
