"""Cases of control logs: every entry, every refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vector_cases import Cases
from vector_people import DAY, NOW, POLICY, Actor, Log
from vector_world import World

from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import (
    NO_HISTORY,
    Add,
    Added,
    CloseThread,
    ControlBody,
    Create,
    ForkResolve,
    Leave,
    Remove,
    Rotate,
    SetPolicy,
)
from carnet_crypto.kinds import RemovalReason, Role
from carnet_crypto.rotation import EpochMember, Rotation
from carnet_crypto.secret import conversation, identity
from carnet_crypto.values import Digest, ThreadId


def threads(world: World, people: dict[str, Actor], logs: dict[str, Log]) -> Cases:
    """Return the cases of control_logs.json."""
    cases = Cases("Entries of control logs, whole logs, and what each becomes.", world)
    for name, log in logs.items():
        for number, each in enumerate(log.entries):
            kind = read_control(bytes.fromhex(each["entry"])).body.TYPE.name
            cases.add(
                f"{name} {number} {kind}: its fields", "control.entry", {"entry": each["entry"]}
            )
            given = {**each, "isHistory": False}
            if not number:
                cases.add(f"{name} {number} {kind}: the thread", "control.begin", given)
            else:
                given = {**given, "log": f"{name}:{number}"}
                cases.add(f"{name} {number} {kind}: the thread", "control.extend", given)
    _malformed(cases, people, logs)
    _misplaced(cases, people, logs)
    _authors(cases, people, logs)
    _members(cases, people, logs)
    _epochs(cases, people, logs)
    _revoked(cases, people)
    for name, number in (("care", 1), ("care", 3), ("care", 4)):
        given = {**logs[name].entries[number], "isHistory": False, "log": f"{name}:{number}"}
        cases.sweep(f"every change of {name} {number}", "control.extend", given, "entry")
    first = {**logs["care"].entries[0], "isHistory": False}
    cases.sweep("every change of CREATE", "control.begin", first, "entry")
    return cases


def _try(
    cases: Cases,
    name: str,
    log: str,
    author: str,
    entry: bytes,
    expect: str,
    *,
    is_history: bool = False,
) -> None:
    given = {"log": log, "author": author, "entry": entry.hex(), "isHistory": is_history}
    cases.add(name if expect == "ok" else f"{expect}: {name}", "control.extend", given, expect)


def _rotation(log: Log, number: int = 0) -> Rotation:
    """Return the newest epoch's rotation as that of the next."""
    rotation = log.thread.epoch.rotation
    return replace(rotation, epoch=number or rotation.epoch + 1)


def _malformed(cases: Cases, people: dict[str, Actor], logs: dict[str, Log]) -> None:
    doctor, care = people["doctor"], logs["care"]
    right = care.signed(doctor, CloseThread())
    rotation = _rotation(care)
    unsorted = replace(rotation, members=rotation.members[::-1])
    create = read_control(bytes.fromhex(care.entries[0]["entry"])).body
    if not isinstance(create, Create):
        raise TypeError("a log begins there")
    policy = care.signed(doctor, SetPolicy(POLICY))
    removed = care.signed(doctor, Remove(people["patient"].id, RemovalReason.OTHER, rotation))
    bare = removed[:174] + (33).to_bytes(4, "big") + removed[178:211] + removed[-64:]
    for name, entry in {
        "nothing": b"",
        "another magic": b"CRNA" + right[4:],
        "another version": right[:4] + b"\x00" + right[5:],
        "type 0": right[:5] + b"\x00" + right[6:],
        "type 9": right[:5] + b"\x09" + right[6:],
        "a byte after its end": right + b"\x00",
        "a body where there is none": right[:177] + b"\x01\x00" + right[178:],
        "CREATE later on": care.signed(doctor, create),
        "REMOVE without a new epoch": bare,
        "members out of their order": care.signed(doctor, Rotate(unsorted)),
        "ADD of nobody": care.signed(doctor, Add((), rotation)),
        "a role's bit that there is not": policy[:178] + b"\x10" + policy[179:],
        "a history that there is not": policy[:180] + b"\x03" + policy[181:],
        "a flag of 2": policy[:181] + b"\x02" + policy[182:],
        "suite 0": policy[:182] + b"\x00" + policy[183:],
        "a checkpoint above 2^53 - 1": right[:126] + b"\x00\x20" + bytes(6) + right[134:],
    }.items():
        _try(cases, name, "care", "doctor", entry, "malformed")
    first = bytes.fromhex(care.entries[0]["entry"])
    for name, entry in {
        "a log begins with something else": right,
        "CREATE with a number": first[:38] + b"\x00\x00\x00\x01" + first[42:],
        "CREATE with a thread": first[:6] + b"\x01" * 32 + first[38:],
        "CREATE with a link": first[:42] + b"\x01" * 32 + first[74:],
    }.items():
        given = {"entry": entry.hex(), "author": "doctor", "isHistory": False}
        cases.add(f"malformed: {name}", "control.begin", given, "malformed")


def _misplaced(cases: Cases, people: dict[str, Actor], logs: dict[str, Log]) -> None:
    doctor, care, ended = people["doctor"], logs["care"], logs["ended"]
    body, number = CloseThread(), care.thread.number
    zero = Digest.zero()
    for name, entry, expect in (
        ("of another thread", ended.signed(doctor, body), "refused:wrong-thread"),
        ("the same again", bytes.fromhex(care.entries[-1]["entry"]), "refused:out-of-order"),
        ("one left out", care.signed(doctor, body, number=number + 2), "refused:out-of-order"),
        ("after another", care.signed(doctor, body, link=zero), "refused:broken-link"),
        ("earlier than the last", care.signed(doctor, body, at=NOW), "refused:time-regressed"),
    ):
        _try(cases, name, "care", "doctor", entry, expect)
    _try(cases, "after its end", "ended", "doctor", ended.signed(doctor, Leave()), "refused:closed")


def _authors(cases: Cases, people: dict[str, Actor], logs: dict[str, Log]) -> None:
    doctor, nurse, patient, care = (
        people["doctor"],
        people["nurse"],
        people["patient"],
        logs["care"],
    )
    body, known = CloseThread(), doctor.account.number
    forged = care.signed(doctor, body, nurse.devices[0], device=doctor.devices[0].id)
    for name, author, entry, expect in (
        ("of nobody in the thread", "nurse", care.signed(nurse, body), "refused:unknown-member"),
        (
            "read with another's chain",
            "patient",
            care.signed(doctor, body),
            "refused:wrong-account",
        ),
        (
            "with an older chain than its author's",
            "doctor",
            care.signed(doctor, body, chain_number=known + 1),
            "refused:out-of-order",
        ),
        (
            "a device of another account",
            "doctor",
            care.signed(doctor, body, nurse.devices[0]),
            "refused:unknown-device",
        ),
        (
            "a device that came later",
            "doctor",
            care.signed(doctor, body, chain_number=0),
            "refused:unknown-device",
        ),
        (
            "a revoked device",
            "patient",
            care.signed(patient, Leave(), patient.devices[1]),
            "refused:revoked-device",
        ),
        ("in a device's name", "doctor", forged, "signature"),
        (
            "a member closes",
            "patient",
            care.signed(patient, body, patient.devices[2]),
            "refused:not-authorized",
        ),
        (
            "a member changes the policy",
            "patient",
            care.signed(patient, SetPolicy(POLICY), patient.devices[2]),
            "refused:not-authorized",
        ),
        (
            "a member resolves a fork",
            "patient",
            care.signed(patient, ForkResolve(1, Digest.zero()), patient.devices[2]),
            "refused:not-authorized",
        ),
        (
            "a suite that there is not yet",
            "doctor",
            care.signed(doctor, SetPolicy(replace(POLICY, least_suite=2))),
            "refused:suite-too-low",
        ),
    ):
        _try(cases, name, "care", author, entry, expect)
    lost, device = people["lost"], logs["device"]
    late = device.signed(lost, Leave(), lost.devices[1], at=NOW + 2 * DAY)
    _try(cases, "a device whose time is over", "device", "lost", late, "refused:expired-device")
    reader = logs["strict"].signed(nurse, Rotate(_rotation(logs["strict"])))
    _try(cases, "a reader rotates", "strict", "nurse", reader, "refused:not-authorized")
    first = read_control(bytes.fromhex(care.entries[0]["entry"])).body
    if not isinstance(first, Create):
        raise TypeError("a log begins there")
    zero = {"thread": ThreadId.zero(), "number": 0, "link": Digest.zero()}
    plain = tuple(replace(joined, role=Role.MEMBER) for joined in first.members)
    for name, author, created, expect in (
        ("CREATE by a member", doctor, replace(first, members=plain), "refused:not-authorized"),
        ("CREATE by an outsider", nurse, first, "refused:not-authorized"),
        (
            "CREATE for a suite that there is not yet",
            doctor,
            replace(first, policy=replace(POLICY, least_suite=2)),
            "refused:suite-too-low",
        ),
        (
            "CREATE of the second epoch",
            doctor,
            replace(first, rotation=replace(first.rotation, epoch=2)),
            "refused:wrong-epoch",
        ),
        (
            "CREATE with a member who gets no key",
            doctor,
            replace(first, rotation=replace(first.rotation, members=first.rotation.members[:1])),
            "refused:incomplete-wraps",
        ),
    ):
        entry = care.signed(author, created, **zero)
        given = {"entry": entry.hex(), "author": author.name, "isHistory": False}
        cases.add(f"{expect}: {name}", "control.begin", given, expect)


def _members(cases: Cases, people: dict[str, Actor], logs: dict[str, Log]) -> None:
    doctor, nurse, patient, team = (people[name] for name in ("doctor", "nurse", "patient", "team"))
    for log_name, name, author, body, expect in (
        (
            "care:4",
            "somebody twice",
            doctor,
            lambda r: Add((Added(patient.id, Role.MEMBER, NO_HISTORY),), r),
            "refused:duplicate",
        ),
        (
            "care:4",
            "a member adds",
            patient,
            lambda r: Add((Added(nurse.id, Role.MEMBER, NO_HISTORY),), r),
            "refused:not-authorized",
        ),
        (
            "strict",
            "a guardian adds a manager",
            patient,
            lambda r: Add((Added(team.id, Role.MANAGER, NO_HISTORY),), r),
            "refused:not-authorized",
        ),
        (
            "strict",
            "all of before, where a part is allowed",
            patient,
            lambda r: Add((Added(team.id, Role.MEMBER, 1),), r),
            "refused:not-authorized",
        ),
        (
            "care",
            "of before, where nothing is allowed",
            doctor,
            lambda r: Add((Added(nurse.id, Role.MEMBER, 2),), r),
            "refused:not-authorized",
        ),
        (
            "care:4",
            "from an epoch to come",
            doctor,
            lambda r: Add((Added(nurse.id, Role.MEMBER, 9),), r),
            "refused:not-authorized",
        ),
        (
            "care:4",
            "from epoch 0",
            doctor,
            lambda r: Add((Added(nurse.id, Role.MEMBER, 0),), r),
            "refused:not-authorized",
        ),
        (
            "care",
            "a member removes",
            patient,
            lambda r: Remove(doctor.id, RemovalReason.OTHER, r),
            "refused:not-authorized",
        ),
        (
            "strict",
            "a guardian removes a manager",
            patient,
            lambda r: Remove(doctor.id, RemovalReason.OTHER, r),
            "refused:not-authorized",
        ),
        (
            "care",
            "a manager removes themselves",
            doctor,
            lambda r: Remove(doctor.id, RemovalReason.OTHER, r),
            "refused:not-authorized",
        ),
        (
            "care",
            "nobody is removed",
            doctor,
            lambda r: Remove(nurse.id, RemovalReason.OTHER, r),
            "refused:unknown-member",
        ),
    ):
        entry = _signed_at(logs, log_name, author, body)
        _try(cases, name, log_name, author.name, entry, expect)


def _signed_at(logs: dict[str, Log], name: str, author: Actor, body: Any) -> bytes:
    """Return an entry that follows the first entries of a log."""
    key, _, count = name.partition(":")
    log = logs[key]
    device = author.devices[2] if len(author.devices) > 2 else author.devices[0]
    thread = log.thread
    if count:
        head = read_control(log.written[int(count) - 1].entry).digest
        epochs = tuple(epoch for epoch in thread.epochs if epoch.entry < int(count))
        thread = replace(thread, number=int(count) - 1, head=head, epochs=epochs)
    at = Log(thread, log.entries, log.written, log.secrets)
    made: ControlBody = body(_rotation(at))
    return at.signed(author, made, device)


def _epochs(cases: Cases, people: dict[str, Actor], logs: dict[str, Log]) -> None:
    doctor, nurse, care = people["doctor"], people["nurse"], logs["care"]
    rotation = _rotation(care)
    own = [member for member in rotation.members if member.account == doctor.id]
    ghost = EpochMember(nurse.id, 1, nurse.account.generations[0].aek)
    more = tuple(sorted((*rotation.members, ghost), key=lambda member: member.account))
    before = tuple(replace(member, generation=member.generation - 1) for member in rotation.members)
    for name, changed, expect in (
        (
            "the same epoch again",
            replace(rotation, epoch=rotation.epoch - 1),
            "refused:wrong-epoch",
        ),
        ("an epoch left out", replace(rotation, epoch=rotation.epoch + 1), "refused:wrong-epoch"),
        ("a member without key", replace(rotation, members=tuple(own)), "refused:incomplete-wraps"),
        ("a key for nobody of it", replace(rotation, members=more), "refused:incomplete-wraps"),
        ("an older key", replace(rotation, members=before), "refused:wrong-generation"),
    ):
        _try(cases, name, "care", "doctor", care.signed(doctor, Rotate(changed)), expect)


def _revoked(cases: Cases, people: dict[str, Actor]) -> None:
    """Devices revoked since: what they wrote before we first read the log, and what not."""
    stolen = Actor.enrol("stolen")
    stolen.add(stolen.device())
    phone, doctor = stolen.devices[1], people["doctor"]
    created = conversation.create(
        stolen.writer(NOW, phone),
        POLICY,
        [(stolen.account, Role.MANAGER), (doctor.account, Role.MEMBER)],
    )
    log = Log.begin(created, stolen)
    before = conversation.close(stolen.writer(NOW, phone), log.thread).entry
    knew = log.signed(stolen, CloseThread(), phone, chain_number=stolen.account.number + 1)
    later = log.signed(stolen, CloseThread(), phone, checkpoint_size=8)
    stolen.add(stolen.revoked(phone))
    cases.with_chain("stolen", stolen.chain)
    cases.with_log("stolen", log.entries)
    revoked = "refused:revoked-device"
    _try(cases, "revoked since, and read before", "stolen", "stolen", before, "ok", is_history=True)
    _try(cases, "revoked since, and new to us", "stolen", "stolen", before, revoked)
    _try(cases, "its author knew", "stolen", "stolen", knew, revoked, is_history=True)
    _try(cases, "its author saw a later log", "stolen", "stolen", later, revoked, is_history=True)
    shut = Actor.enrol("shut")
    opened = conversation.create(
        shut.writer(), POLICY, [(shut.account, Role.MANAGER), (doctor.account, Role.MEMBER)]
    )
    open_log = Log.begin(opened, shut)
    early = open_log.signed(shut, CloseThread())
    after = open_log.signed(shut, CloseThread(), chain_number=shut.account.number + 1)
    shut.add(identity.close(shut.account, shut.root, NOW))
    cases.with_chain("shut", shut.chain)
    cases.with_log("shut", open_log.entries)
    _try(cases, "before its account was closed", "shut", "shut", early, "ok", is_history=True)
    _try(cases, "of a closed account, and new to us", "shut", "shut", early, "refused:closed")
    _try(cases, "of a closed account", "shut", "shut", after, "refused:closed", is_history=True)
