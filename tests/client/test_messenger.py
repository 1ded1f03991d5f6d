"""Two people with the real client and a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import world
from talking import SOON, Talk, talk, until, words

from carnet.clock import MovableClock
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client.accounts import Owner
from carnet_client.errors import (
    ClientError,
    NotFound,
    NotReadable,
    Unreachable,
    Unsafe,
    UserMistake,
)
from carnet_client.events import Connected, GhostDevice, ThreadChanged
from carnet_crypto.chain import RevocationReason
from carnet_crypto.secret.content import Verdict
from carnet_crypto.secret.recovery import RecoveryCode


@pytest.fixture
async def meeting(
    database: Database, blobs: BlobStore, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Talk]:
    async with talk(database, blobs, clock, tmp_path) as found:
        yield found


async def test_a_doctor_writes_and_the_patient_answers(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    assert await theirs.send("Bonjour, comment allez-vous ?") == 1
    assert [m.text for m in await mine.read()] == ["Bonjour, comment allez-vous ?"]
    assert mine.messages[0].author == doctor.account
    await mine.send("Mieux, merci.")
    await theirs.read()
    assert words(theirs) == words(mine) == ["Bonjour, comment allez-vous ?", "Mieux, merci."]
    assert doctor.alarms == patient.alarms == ()
    assert mine.title == "Lou FAURE"


async def test_what_is_sent_is_told_to_who_follows(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    following = asyncio.create_task(until(patient, lambda event: event == ThreadChanged(mine.id)))
    connected = asyncio.create_task(until(doctor, lambda event: event == Connected()))
    await connected
    await theirs.send("words")
    await following
    assert words(mine) == ["words"]
    assert doctor.alarms == patient.alarms == ()


async def test_files_of_any_size_arrive_whole(meeting: Talk, tmp_path: Path) -> None:
    _doctor, _patient, theirs, mine = await meeting.talking()
    folder = tmp_path / "saved"
    folder.mkdir()
    seen: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        seen.append((done, total))

    for length in (0, 1, 65_535, 65_536, 3_000_001):
        data = bytes(range(256)) * (length // 256) + bytes(length % 256)
        (tmp_path / "scan.pdf").write_bytes(data)
        await theirs.attach(tmp_path / "scan.pdf", "see this", progress=tell)
        assert seen[-1] == (length, length)
        message = (await mine.read())[-1]
        assert message.text == "see this"
        assert [(f.name, f.mime, f.plain_bytes) for f in message.files] == [
            ("scan.pdf", "application/pdf", length)
        ]
        path = await mine.save(message, folder)
        assert path.read_bytes() == data
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["scan (2).pdf", "scan (3).pdf", "scan (4).pdf", "scan (5).pdf", "scan.pdf"]


async def test_changes_receipts_and_verdicts_are_seen_by_both(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    await mine.send("J'ai mal")
    await mine.send("une erreur")
    await theirs.read()
    assert theirs.messages[0].read_by == frozenset()
    await theirs.mark_read()
    await theirs.acknowledge(theirs.messages[0], Verdict.TAKEN_NOTE, "vu")
    with pytest.raises(UserMistake):
        await theirs.edit(theirs.messages[0], "autre chose")
    first, second = await mine.read()
    assert first.read_by == second.read_by == {doctor.account}
    assert first.acknowledged == ((doctor.account, Verdict.TAKEN_NOTE, "vu"),)
    await mine.edit(first, "J'ai très mal")
    await mine.retract(second)
    first, second = await theirs.read()
    assert (first.text, first.is_edited) == ("J'ai très mal", True)
    assert (second.text, second.is_retracted) == (None, True)
    assert [info.unread for info in await doctor.threads()] == [2]
    await theirs.mark_read()
    assert [info.unread for info in await doctor.threads()] == [0]
    assert doctor.alarms == patient.alarms == ()


async def test_a_number_names_a_message_whatever_the_ids_begin_with(meeting: Talk) -> None:
    _, _, theirs, _ = await meeting.talking()
    numbers = [await theirs.send("one")]
    while not any(bytes(m.id).hex()[0] in map(str, numbers) for m in theirs.messages):
        numbers.append(await theirs.send("another"))
    for message in theirs.messages:
        name = bytes(message.id).hex()
        assert theirs.message(str(message.number)) == message
        assert theirs.message(f"#{message.number}") == message
        assert theirs.message(name) == theirs.message(name[:8].upper()) == message
    absent = bytes(theirs.messages[0].id).hex()
    for wrong in ("", "#", "0", "99", "-1", "²", "1 ", "#" + absent, absent[:7] + "z", "9" * 5000):
        with pytest.raises(NotReadable):
            theirs.message(wrong)
    with pytest.raises(NotReadable):  # too little of an id: it may be a slip of the finger
        theirs.message("a" * 7)


async def test_what_has_expired_has_no_words(meeting: Talk) -> None:
    _, _, theirs, mine = await meeting.talking()
    await theirs.send("for an hour", meeting.now() + 3_600_000)
    assert [m.text for m in await mine.read()] == ["for an hour"]
    meeting.clock.offset += timedelta(hours=2)
    assert [m.text for m in await mine.read()] == [None]


async def test_a_restarted_client_reads_all_again_and_nothing_less(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    await theirs.send("one")
    await mine.read()
    await mine.send("two")
    await patient.__aexit__(None, None, None)
    again = await meeting.client("patient")
    assert again.account == patient.account
    reread = await again.thread(mine.id)
    assert words(reread) == ["one", "two"]
    assert await reread.send("three") == 3
    await theirs.read()
    assert words(theirs) == ["one", "two", "three"]
    assert doctor.alarms == again.alarms == ()


async def test_a_new_device_is_paired_by_digits_and_reads_what_was(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    await theirs.send("before")
    phone = await meeting.client("phone", meeting.patient)
    shown: list[str] = []

    async def same(digits: str) -> bool:
        shown.append(digits)
        return True

    await asyncio.gather(phone.join(SOON).by_digits(same), patient.admit(SOON).by_digits(same))
    assert len(shown) == 2 and shown[0] == shown[1]
    assert phone.account == patient.account
    there = await phone.thread(mine.id)
    assert words(there) == ["before"]
    await there.send("from the phone")
    await theirs.read()
    assert words(theirs) == ["before", "from the phone"]
    assert [d.revoked_in for d in await patient.devices()] == [None, None]
    assert doctor.alarms == patient.alarms == phone.alarms == ()


async def test_digits_that_differ_add_nothing(meeting: Talk) -> None:
    patient = await meeting.enrolled("patient", meeting.patient)
    phone = await meeting.client("phone", meeting.patient)

    async def differs(digits: str) -> bool:
        return False

    found = await asyncio.gather(
        phone.join(SOON).by_digits(differs),
        patient.admit(SOON).by_digits(differs),
        return_exceptions=True,
    )
    assert all(isinstance(each, UserMistake) for each in found), found
    assert len(await patient.devices()) == 1 and not phone.is_enrolled


async def test_a_new_device_is_paired_by_what_it_shows(meeting: Talk) -> None:
    patient = await meeting.enrolled("patient", meeting.patient)
    phone = await meeting.client("phone", meeting.patient)
    joining, admitting = phone.join(SOON), patient.admit(SOON)
    answer = await admitting.scan(joining.qr)
    await asyncio.gather(joining.by_answer(answer), admitting.finish())
    assert phone.account == patient.account and len(await patient.devices()) == 2
    with pytest.raises(UserMistake):
        await phone.revoke_device(patient._core.own().device.id)


async def test_a_lost_device_is_replaced_by_the_recovery_code(meeting: Talk) -> None:
    _doctor, patient, theirs, mine = await meeting.talking()
    await theirs.send("before")
    await patient.__aexit__(None, None, None)
    new = await meeting.client("new", meeting.patient)
    with pytest.raises(UserMistake):
        await new.enrol()
    with pytest.raises(UserMistake):
        await new.recover(RecoveryCode(b"another one of 20 by").text)
    assert not new.is_enrolled
    await new.recover(meeting.codes["patient"])
    there = await new.thread(mine.id)
    assert words(there) == ["before"]
    old, kept = await new.devices()
    assert old.revoked_in is not None and kept.revoked_in is None
    await there.send("I am back")
    await theirs.send("welcome")
    assert words(theirs) == [m.text for m in await there.read()]
    lost = await meeting.client("patient")
    with pytest.raises(ClientError):
        await (await lost.thread(mine.id)).send("from the lost one")
    await theirs.read()
    assert words(theirs) == ["before", "I am back", "welcome"]
    assert not any(isinstance(alarm, GhostDevice) for alarm in new.alarms)


async def test_a_device_that_nobody_here_added_is_an_alarm_and_blocks(meeting: Talk) -> None:
    _, patient, theirs, mine = await meeting.talking()
    thief = await meeting.client("thief", meeting.patient)
    await thief.recover(meeting.codes["patient"], keep_others=True)
    with pytest.raises(Unsafe) as refused:
        await mine.send("words")
    assert isinstance(refused.value.alarm, GhostDevice)
    assert [type(alarm) for alarm in patient.alarms] == [GhostDevice]
    await patient.revoke_device(refused.value.alarm.device, RevocationReason.STOLEN)
    assert await mine.send("words again") == 1
    await theirs.read()
    assert words(theirs) == ["words again"]


async def test_numbers_are_the_same_for_both_and_kept(meeting: Talk) -> None:
    doctor, patient, _theirs, _mine = await meeting.talking()
    number = await doctor.safety_number(patient.account)
    assert number == await patient.safety_number(doctor.account)
    assert len(number.replace(" ", "")) == 60
    await patient.verify(doctor.account)
    assert patient.is_verified(doctor.account) is True
    assert doctor.is_verified(patient.account) is False


async def test_a_document_of_the_record_is_sent_and_a_file_put_into_it(
    meeting: Talk, tmp_path: Path
) -> None:
    _, patient, theirs, mine = await meeting.talking()
    record = (await patient.viewer()).record_id
    assert record is not None
    scan = tmp_path / "scan.txt"
    scan.write_bytes(b"pixels" * 50_000)
    await theirs.attach(scan)
    message = (await mine.read())[-1]
    document = await mine.save_into_record(message, record, "PERSONAL", "A scan")
    await mine.attach_document(document, "as you sent it")
    back = (await theirs.read())[-1]
    (tmp_path / "saved").mkdir()
    path = await theirs.save(back, tmp_path / "saved")
    assert path.read_bytes() == scan.read_bytes()


async def test_who_leaves_reads_no_more_and_what_is_closed_is_over(meeting: Talk) -> None:
    _, _, theirs, mine = await meeting.talking()
    await theirs.send("before")
    await mine.read()
    await mine.leave()
    await theirs.send("after")
    with pytest.raises(NotFound):
        await mine.read()
    await theirs.close()
    with pytest.raises(ClientError, match="closed"):
        await theirs.send("after the end")
    assert not theirs.is_open


async def test_an_account_for_a_child_is_used_by_its_parent(meeting: Talk) -> None:
    child = await world.holder(meeting.database, born="2020-05-04")
    await world.parent(meeting.database, child, meeting.patient)
    await world.care_team(meeting.database, child, meeting.doctor)
    doctor, patient = await meeting.both()
    enrolment = await patient.enrol(Owner(record_id=await patient.record_of("alix")))
    account = await enrolment.confirm(enrolment.code)
    (info,) = [each for each in await doctor.people() if each.id == account]
    theirs = await doctor.open_thread([info])
    await theirs.send("How is the child?")
    mine = await patient.thread(theirs.id)
    assert mine.account == account
    await mine.send("Better")
    assert [m.author for m in await theirs.read()] == [doctor.account, account]


async def test_what_was_sealed_before_a_crash_is_what_arrives(meeting: Talk) -> None:
    """The answer is lost, and the client with it: the same envelope is sent again, once."""
    doctor, patient, theirs, mine = await meeting.talking()
    await mine.send("one")
    await patient.__aexit__(None, None, None)
    cut = CutAfter(operation="SendMessage")
    broken = await meeting.client("patient", transport=cut)
    conversation = await broken.thread(mine.id)
    cut.is_armed = True
    with pytest.raises(Unreachable):
        await conversation.send("two")
    await broken.__aexit__(None, None, None)
    again = await meeting.client("patient")
    reopened = await again.thread(mine.id)
    assert await reopened.send("three") == 3
    await theirs.read()
    assert words(theirs) == ["one", "two", "three"]
    assert doctor.alarms == again.alarms == ()


class CutAfter(httpx.AsyncBaseTransport):
    """A line that is cut after the server has done what it was asked, and before it says so."""

    def __init__(self, operation: str) -> None:
        self._operation = operation.encode()
        self._real = httpx.AsyncHTTPTransport()
        self.is_armed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._real.handle_async_request(request)
        if self.is_armed and self._operation in request.content:
            await answer.aread()
            await answer.aclose()
            raise httpx.ReadError("the line is cut", request=request)
        return answer

    async def aclose(self) -> None:
        await self._real.aclose()
