"""Messaging through the API: who may open, write and read, and what is told."""

from __future__ import annotations

from uuid import uuid4

import pytest
import world
from correspondents import NOW, Person, accounts, take
from writing import NO_CHECKPOINT, POLICY, Correspondent, now

from carnet.people.actor import Patient, Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.kinds import AccountKind, RemovalReason, Role, RosterRole
from carnet_crypto.secret import conversation, identity
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.generations import open_delegated
from carnet_crypto.secret.happenings import Shown
from carnet_crypto.secret.messages import seal
from carnet_crypto.secret.transcript import Transcript

THREADS = """{ viewer {
  ... on Patient { threads { totalCount edges { node { id unreadCount lastNumber } } } }
  ... on Professional { threads { totalCount edges { node { id unreadCount lastNumber } } } } } }"""
READ = """query($id: ID!) { node(id: $id) { ... on Thread {
  protocolId state controlNumber unreadCount
  wraps { accountId epoch wrap }
  controlEntries { edges { node { number entry } } }
  messages { edges { node { id number envelope sender { accountId } attachments { url size } } } }
} } }"""


@pytest.fixture
async def patient(database: Database, blobs: BlobStore) -> Correspondent:
    return Correspondent(database, blobs, await world.holder(database))


@pytest.fixture
async def doctor(database: Database, blobs: BlobStore, patient: Correspondent) -> Correspondent:
    actor = await world.professional(database)
    assert isinstance(patient.actor, Patient)
    await world.care_team(database, patient.actor, actor)
    made = Correspondent(database, blobs, actor)
    for each in (patient, made):
        assert (await each.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    return made


async def talking(doctor: Correspondent, patient: Correspondent):
    """Return an open thread's id, and what each makes of it."""
    opened, written = await doctor.open_with((patient, Role.MEMBER))
    assert opened["__typename"] == "OpenThreadSuccess", opened
    views = {}
    for each in (doctor, patient):
        view = Transcript(each.me.id)
        take(view, each.me, written, doctor.me)
        views[each] = view
    return opened["thread"]["id"], views


async def test_a_doctor_writes_and_the_patient_answers(
    doctor: Correspondent, patient: Correspondent
) -> None:
    id_, views = await talking(doctor, patient)
    known = accounts(doctor.me, patient.me)
    for number, author in enumerate((doctor, patient, patient, doctor), 1):
        envelope, sequence, _ = author.seal(views[author], f"words {number}")
        sent = await author.send(envelope, sequence)
        assert sent["sent"]["number"] == number, sent
        for view in views.values():
            view.take_message(number, envelope, known)
    read = (await patient.ask(READ, id=id_))["node"]
    late = Transcript(patient.me.id)
    entry = from_base64url(read["controlEntries"]["edges"][0]["node"]["entry"])
    thread = late.log.take(entry, doctor.me.account)
    (wrap,) = read["wraps"]
    late.secrets[1] = conversation.open_wrap(
        from_base64url(wrap["wrap"]), thread, 1, patient.me.id, patient.me.aeks
    )
    told = [
        happening
        for edge in read["messages"]["edges"]
        for happening in late.take_message(
            edge["node"]["number"], from_base64url(edge["node"]["envelope"]), known
        )
    ]
    assert [each.content for each in told if isinstance(each, Shown)] == [
        Text(f"words {n}") for n in range(1, 5)
    ]
    assert read["unreadCount"] == 2
    mutated = await patient.mutate(
        "markThreadRead", "thread { unreadCount }", threadId=read["protocolId"], number=4
    )
    assert mutated["thread"]["unreadCount"] == 0
    (edge,) = (await doctor.ask(THREADS))["viewer"]["threads"]["edges"]
    assert edge["node"] == {"id": id_, "unreadCount": 2, "lastNumber": 4}


async def test_the_same_envelope_is_the_same_message(
    doctor: Correspondent, patient: Correspondent
) -> None:
    _, views = await talking(doctor, patient)
    envelope, sequence, _ = doctor.seal(views[doctor], "words")
    first = await doctor.send(envelope, sequence)
    assert await doctor.send(envelope, sequence) == first
    other, _, _ = doctor.seal(views[doctor], "from a copy of the same state")
    refused = await doctor.send(other, sequence)
    assert (refused["code"], refused["expected"]) == ("STALE_SEQUENCE", 2)
    assert (await doctor.send(other, 7))["code"] == "STALE_SEQUENCE"


async def test_nobody_else_reads_or_writes(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    id_, views = await talking(doctor, patient)
    envelope, sequence, _ = doctor.seal(views[doctor], "words")
    await doctor.send(envelope, sequence)
    stranger = Correspondent(database, blobs, await world.professional(database))
    await stranger.enrol()
    assert (await stranger.ask(READ, id=id_))["node"] is None
    assert (await stranger.ask(THREADS))["viewer"]["threads"]["totalCount"] == 0
    forged, sequence, _ = doctor.seal(views[doctor], "as somebody else")
    assert (await stranger.send(forged, 1))["code"] == "NOT_FOUND"
    message = (await doctor.ask(READ, id=id_))["node"]["messages"]["edges"][0]["node"]["id"]
    query = "query($id: ID!) { node(id: $id) { id } }"
    assert (await stranger.ask(query, id=message))["node"] is None
    assert (await stranger.mutate("eraseMessage", messageId=message))["code"] == "NOT_FOUND"


async def test_who_may_open(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    other = Correspondent(database, blobs, await world.holder(database))
    await other.enrol()
    colleague = Correspondent(database, blobs, await world.professional(database))
    await colleague.enrol()
    # A patient to a professional who never wrote, or to another patient; somebody out of reach.
    opened, _ = await patient.open_with((doctor, Role.MANAGER))
    assert (opened["code"], opened["rule"]) == ("NOT_ALLOWED_TO_OPEN", "messaging.never-wrote")
    opened, _ = await patient.open_with((other, Role.MEMBER))
    assert opened["code"] == "NOT_FOUND"
    opened, _ = await colleague.open_with((patient, Role.MEMBER))
    assert opened["code"] == "NOT_FOUND"
    opened, _ = await doctor.open_with((colleague, Role.MEMBER))
    assert opened["__typename"] == "OpenThreadSuccess"
    _, views = await talking(doctor, patient)
    envelope, sequence, _ = doctor.seal(views[doctor], "words")
    await doctor.send(envelope, sequence)
    opened, _ = await patient.open_with((doctor, Role.MEMBER))
    assert opened["rule"] == "messaging.unmanaged"
    opened, _ = await patient.open_with((doctor, Role.MANAGER))
    assert opened["__typename"] == "OpenThreadSuccess"
    # The professional ends the exchanges.
    ended = await doctor.control(
        views[doctor].thread, conversation.close(doctor.writer(), views[doctor].thread)
    )
    assert ended["thread"]["state"] == "CLOSED"
    envelope, sequence, _ = patient.seal(views[patient], "still there?")
    assert (await patient.send(envelope, sequence))["code"] == "THREAD_CLOSED"
    opened, _ = await patient.open_with((doctor, Role.MANAGER))
    assert opened["rule"] == "messaging.ended"


async def test_members_change_and_the_log_is_compared(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    nurse = Correspondent(database, blobs, await world.professional(database))
    await nurse.enrol()
    id_, views = await talking(doctor, patient)
    view = views[doctor]
    known = accounts(doctor.me, patient.me, nurse.me)
    joining = [conversation.Added(nurse.me.id, Role.MEMBER, 1)]
    added = conversation.add(doctor.writer(), view.thread, known, joining, view.secrets)
    also = conversation.rotate(doctor.writer(), view.thread, known)
    assert (await doctor.control(view.thread, added))["thread"]["controlNumber"] == 1
    stale = await doctor.control(view.thread, also)
    assert (stale["code"], stale["number"]) == ("STALE_CONTROL_HEAD", 1)
    envelope, sequence, _ = patient.seal(views[patient], "under the old epoch")
    assert (await patient.send(envelope, sequence))["code"] == "STALE_CONTROL_HEAD"
    read = (await nurse.ask(READ, id=id_))["node"]
    assert [wrap["epoch"] for wrap in read["wraps"]] == [1, 2]
    take(view, doctor.me, added, doctor.me)
    removed = conversation.remove(
        doctor.writer(), view.thread, known, nurse.me.id, RemovalReason.OTHER
    )
    assert (await doctor.control(view.thread, removed))["thread"]["controlNumber"] == 2
    assert (await nurse.ask(READ, id=id_))["node"] is None


async def test_what_does_not_hold_is_refused(doctor: Correspondent, patient: Correspondent) -> None:
    written = doctor.opening((patient, Role.MEMBER))
    spoilt = conversation.Written(
        written.entry[:-1] + bytes([written.entry[-1] ^ 1]), written.wraps
    )
    assert (await doctor.open_thread(spoilt))["code"] == "VALIDATION_FAILED"
    fewer = conversation.Written(written.entry, written.wraps[:1])
    assert (await doctor.open_thread(fewer))["code"] == "VALIDATION_FAILED"
    old = conversation.create(
        doctor.me.writer(NOW),
        POLICY,
        [(doctor.me.account, Role.MANAGER), (patient.me.account, Role.MEMBER)],
    )
    assert (await doctor.open_thread(old))["code"] == "VALIDATION_FAILED"
    assert (await doctor.ask(THREADS))["viewer"]["threads"]["totalCount"] == 0
    _, views = await talking(doctor, patient)
    envelope, sequence, _ = doctor.seal(views[doctor], "words")
    for bad in (b"", b"CRN1", envelope[:-1], envelope + b"\x00", bytes(len(envelope))):
        assert (await doctor.send(bad, sequence))["code"] == "VALIDATION_FAILED"
    assert (await doctor.send(envelope, sequence, [uuid4()]))["code"] == "NOT_FOUND"
    assert (await doctor.send(envelope, sequence))["sent"]["number"] == 1


async def test_a_body_is_erased_and_its_place_stays(
    doctor: Correspondent, patient: Correspondent
) -> None:
    id_, views = await talking(doctor, patient)
    envelope, sequence, _ = doctor.seal(views[doctor], "words")
    sent = await doctor.send(envelope, sequence)
    message = sent["sent"]["id"]
    assert (await patient.mutate("eraseMessage", messageId=message))["code"] == "ACCESS_DENIED"
    erased = await doctor.mutate("eraseMessage", "erased { envelope erasedAt }", messageId=message)
    left = from_base64url(erased["erased"]["envelope"])
    assert left == envelope[: len(left) - 4] + bytes(4) and erased["erased"]["erasedAt"]
    known = accounts(doctor.me, patient.me)
    (shown,) = views[patient].take_message(1, left, known)
    assert isinstance(shown, Shown) and shown.content is None
    assert (await patient.ask(READ, id=id_))["node"]["messages"]["edges"][0]["node"]["number"] == 1


async def test_a_blocked_professional_is_out_at_once(
    database: Database, doctor: Correspondent, patient: Correspondent
) -> None:
    id_, views = await talking(doctor, patient)
    assert isinstance(patient.actor, Patient) and isinstance(doctor.actor, Professional)
    viewer = await doctor.ask("{ viewer { ... on Professional { id } } }")
    record = await patient.ask("{ viewer { ... on Patient { record { id } } } }")
    blocked = await patient.mutate(
        "blockAccess",
        recordId=record["viewer"]["record"]["id"],
        grantee={"professionalId": viewer["viewer"]["id"]},
    )
    assert blocked["__typename"] == "BlockAccessSuccess", blocked
    assert (await doctor.ask(READ, id=id_))["node"] is None
    envelope, sequence, _ = doctor.seal(views[doctor], "words")
    assert (await doctor.send(envelope, sequence))["code"] == "NOT_FOUND"
    assert (await patient.ask(READ, id=id_))["node"]["state"] == "OPEN"


async def test_the_directory_proves_what_it_holds(
    doctor: Correspondent, patient: Correspondent
) -> None:
    from carnet_crypto.checkpoint import NoteKey
    from carnet_crypto.contacts import Contacts, LoggedEntry, Trust
    from carnet_crypto.values import Blind

    query = """query($ids: [Base64Bytes!]!) {
      keyDirectory { checkpoint logKey }
      messagingAccounts(accountIds: $ids) { displayName
        entries { edges { node { number entry blind leafIndex } } } bindings { binding } } }"""
    found = await patient.ask(query, ids=[to_base64url(doctor.me.id)])
    contacts = Contacts(Trust(NoteKey.read(found["keyDirectory"]["logKey"])))
    checkpoint = contacts.take_checkpoint(found["keyDirectory"]["checkpoint"], [])
    contacts.check_fresh(now())
    (account,) = found["messagingAccounts"]
    assert account["displayName"]
    entries = [edge["node"] for edge in account["entries"]["edges"]]
    proofs = await patient.ask(
        "query($at: [Int!]!, $size: Int!) { keyDirectory {"
        " inclusionProofs(leafIndexes: $at, size: $size) { leafIndex hashes } } }",
        at=[entry["leafIndex"] for entry in entries],
        size=checkpoint.size,
    )
    logged = [
        LoggedEntry(
            from_base64url(entry["entry"]),
            Blind(from_base64url(entry["blind"])),
            entry["leafIndex"],
            tuple(from_base64url(hash_) for hash_ in proof["hashes"]),
        )
        for entry, proof in zip(entries, proofs["keyDirectory"]["inclusionProofs"], strict=True)
    ]
    contacts.take_chain(doctor.me.id, logged)
    assert contacts.account(doctor.me.id).head == doctor.me.account.head
    doctor.me.rotate(at=now())
    grown = await doctor.mutate(
        "appendMessagingAccountEntries",
        "account { number }",
        accountId=to_base64url(doctor.me.id),
        entries=[to_base64url(doctor.me.chain[-1])],
    )
    assert grown["account"]["number"] == doctor.me.account.number
    again = await doctor.mutate(
        "appendMessagingAccountEntries",
        accountId=to_base64url(doctor.me.id),
        entries=[to_base64url(doctor.me.chain[-1])],
    )
    assert (again["code"], again["number"]) == ("STALE_CHAIN", doctor.me.account.number)
    found = await patient.ask("{ keyDirectory { checkpoint } }")
    proof = await patient.ask(
        "query($a: Int!, $b: Int!) { keyDirectory { consistencyProof(since: $a, size: $b) } }",
        a=checkpoint.size,
        b=checkpoint.size + 1,
    )
    hashes = [from_base64url(h) for h in proof["keyDirectory"]["consistencyProof"]]
    assert contacts.take_checkpoint(found["keyDirectory"]["checkpoint"], hashes).size == (
        checkpoint.size + 1
    )


async def test_a_backup_is_what_the_chain_names(
    doctor: Correspondent, patient: Correspondent
) -> None:
    id_ = to_base64url(doctor.me.id)
    wrong = await doctor.mutate("putRecoveryBackup", accountId=id_, backup=to_base64url(b"x"))
    assert wrong["code"] == "VALIDATION_FAILED"
    backup = to_base64url(doctor.me.backup)
    kept = await doctor.mutate("putRecoveryBackup", accountId=id_, backup=backup)
    assert kept["__typename"] == "PutRecoveryBackupSuccess"
    query = "query($id: Base64Bytes!) { recoveryBackup(accountId: $id) }"
    assert (await doctor.ask(query, id=id_))["recoveryBackup"] == backup
    assert (await patient.ask(query, id=id_))["recoveryBackup"] is None


async def test_devices_of_one_person_leave_each_other_messages(
    doctor: Correspondent, patient: Correspondent
) -> None:
    said = [to_base64url(bytes([n])) for n in range(3)]
    for number, message in enumerate(said, 1):
        left = await doctor.mutate("postPairingMessage", "number", message=message)
        assert left["number"] == number
    query = "{ pairingMessages(after: 1) { number message } }"
    found = (await doctor.ask(query))["pairingMessages"]
    assert [each["message"] for each in found] == said[1:]
    assert (await patient.ask(query))["pairingMessages"] == []


async def test_somebody_of_a_team_writes_for_it_with_their_own_device(
    database: Database, blobs: BlobStore, patient: Correspondent
) -> None:
    actor = await world.professional(database, organization_id=await world.organization(database))
    assert isinstance(patient.actor, Patient)
    await world.care_team(database, patient.actor, actor)
    nurse = Correspondent(database, blobs, actor)
    for each in (patient, nurse):
        await each.enrol()
    team = Correspondent(database, blobs, actor)
    team.me = Person.enrol(kind=AccountKind.TEAM, at=now())
    newest = team.me.newest
    assert newest is not None
    team.me.extend(
        identity.set_roster(
            team.me.account,
            team.me.root,
            newest,
            [(nurse.me.account, RosterRole.MEMBER)],
            now(),
            team.me.entropy,
        )
    )
    made = await team.enrol(team="Wound care")
    assert made["__typename"] == "CreateMessagingAccountSuccess", made
    members = [(team.me.account, Role.MANAGER), (patient.me.account, Role.MEMBER)]
    known = accounts(team.me, patient.me, nurse.me)
    written = conversation.create(nurse.writer(), POLICY, members)
    opened = await nurse.open_thread(written)
    assert opened["__typename"] == "OpenThreadSuccess", opened
    aeks = open_delegated(team.me.account, nurse.me.id, nurse.me.aeks)
    views = {}
    for reader, id_, keys in ((nurse, team.me.id, aeks), (patient, patient.me.id, None)):
        view = Transcript(id_, author=reader.me.id)
        thread = view.log.take(written.entry, nurse.me.account, accounts=known)
        (wrap,) = [w.wrap for w in written.wraps if w.account == id_]
        view.secrets[1] = conversation.open_wrap(wrap, thread, 1, id_, keys or patient.me.aeks)
        views[reader] = view
    said = Text("for the team", on_behalf_of=team.me.id)
    draft = views[nurse].draft(nurse.me.devices[0].id, said, NO_CHECKPOINT, now())
    envelope, _ = seal(draft, views[nurse].secrets[1], nurse.me.devices[0], nurse.me.entropy)
    sent = await nurse.send(envelope, draft.sequence)
    assert sent["__typename"] == "SendMessageSuccess", sent
    (shown,) = views[patient].take_message(1, envelope, known)
    assert isinstance(shown, Shown) and shown.content == said
