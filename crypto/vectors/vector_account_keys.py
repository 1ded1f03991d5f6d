"""The accounts that all cases are about, and cases of the keys that their chains hold."""

from __future__ import annotations

from dataclasses import replace

from vector_cases import Cases
from vector_people import DAY, MINUTE, NOW, Actor
from vector_world import World

from carnet_crypto.chain import read_entry
from carnet_crypto.chain_bodies import AekRotate
from carnet_crypto.kinds import AccountKind, DeviceFlag, RosterRole
from carnet_crypto.secret import identity, recovery
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.seeds import DeviceWrap
from carnet_crypto.values import SignSeed


def make_people() -> dict[str, Actor]:
    """Return the accounts that all files are about."""
    doctor, nurse = Actor.enrol("doctor"), Actor.enrol("nurse")
    patient = Actor.enrol("patient")
    _story_of(patient, doctor)
    team = Actor.enrol("team", AccountKind.TEAM)
    _story_of_team(team, doctor, nurse)
    child = Actor.enrol("child")
    child.add(child.delegated(patient, NOW + 30 * DAY))
    lost = Actor.enrol("lost")
    lost.add(lost.device(DeviceFlag.SECONDARY, not_after=NOW + DAY))
    waiting = Actor.enrol("waiting")
    new = RootKey(SignSeed(waiting.entropy(32)))
    waiting.add(identity.rotate_root(waiting.account, waiting.recovery.signing, new, NOW + MINUTE))
    closed = Actor.enrol("closed")
    closed.add(identity.close(closed.account, closed.root, NOW + MINUTE))
    bare = Actor.begin("bare")
    people = (doctor, nurse, patient, team, child, lost, waiting, closed, bare)
    return {person.name: person for person in people}


def _story_of(person: Actor, other: Actor) -> None:
    """Let an account say everything that an account can say, but for its end."""
    backup = recovery.seal_backup(
        person.recovery, person.id, person.account.number + 1, person.root
    )
    entry = recovery.recovery_entry(person.recovery, backup)
    person.add(identity.set_recovery(person.account, person.root, entry, NOW + MINUTE))
    person.add(person.device(DeviceFlag.SECONDARY, at=NOW + MINUTE))
    person.add(person.device(DeviceFlag.PRIMARY, at=NOW + 2 * MINUTE))
    person.add(person.revoked(person.devices[1], NOW + 3 * MINUTE))
    person.add(person.rotated(at=NOW + 3 * MINUTE))
    person.add(person.delegated(other, NOW + 9 * DAY, NOW + 4 * MINUTE))
    person.add(person.rotated(person.devices[2], at=NOW + 5 * MINUTE))
    person.add(identity.undelegate(person.account, person.root, other.id, NOW + 6 * MINUTE))
    person.add(person.rotated(at=NOW + 6 * MINUTE))
    new = RootKey(SignSeed(person.entropy(32)))
    person.add(identity.rotate_root(person.account, person.root, new, NOW + 7 * MINUTE))
    person.root = new


def _story_of_team(team: Actor, doctor: Actor, nurse: Actor) -> None:
    for members in ((doctor, nurse), (doctor,)):
        newest = team.newest
        assert newest is not None  # noqa: S101 — enrolled
        team.others = {member.id: member.account for member in (doctor, nurse)}
        roles = [(member.account, RosterRole.ADMIN) for member in members]
        team.add(identity.set_roster(team.account, team.root, newest, roles, NOW, team.entropy))
    team.add(team.rotated())


def keys(world: World, people: dict[str, Actor]) -> Cases:
    """Return the cases of account_keys.json."""
    cases = Cases("What a chain holds for devices, delegates, rosters and recovery.", world)
    for name in ("patient", "team", "child"):
        for number, aek in people[name].aeks.items():
            if number <= len(people[name].account.generations):
                given = {"number": number, "seed": aek.seed.hex()}
                cases.add(f"generation {number} of {name}", "aek.keys", given)
    patient, doctor = people["patient"], people["doctor"]
    for number, device in enumerate(patient.devices):
        given = {"chain": "patient", "device": device.secret_bytes().hex()}
        cases.add(f"device {number} of patient", "aek.open", given)
    given = {"chain": "patient:5", "device": patient.devices[2].secret_bytes().hex()}
    cases.add(
        "refused:unknown-device: before it was added", "aek.open", given, "refused:unknown-device"
    )
    wrong = DeviceKeys.generate(doctor.entropy)
    chain = _with_wrong_wrap(cases, patient, wrong)
    given = {"chain": chain, "device": patient.devices[0].secret_bytes().hex()}
    cases.add("open: a wrap for another key", "aek.open", given, "open")
    seeds = {str(number): aek.seed.hex() for number, aek in doctor.aeks.items()}
    for name, length in (
        ("team", 6),
        ("team", 4),
        ("patient", 9),
        ("patient", 10),
        ("patient", 13),
    ):
        given = {"chain": f"{name}:{length}", "own": doctor.id.hex(), "seeds": seeds}
        cases.add(f"doctor reads {name} of {length} entries", "aek.delegated", given)
    nurse = people["nurse"]
    given = {"chain": "child", "own": nurse.id.hex(), "seeds": seeds}
    cases.add(
        "refused:unknown-member: no delegate", "aek.delegated", given, "refused:unknown-member"
    )
    given = {"chain": "child", "own": patient.id.hex(), "seeds": seeds}
    cases.add("open: with another's keys", "aek.delegated", given, "open")
    given = {"chain": "patient", "secret": patient.recovery.box_secret.hex()}
    cases.add("recovered", "aek.recovered", given)
    given = {"chain": "patient", "secret": doctor.recovery.box_secret.hex()}
    cases.add("open: another recovery key", "aek.recovered", given, "open")
    return cases


def _with_wrong_wrap(cases: Cases, person: Actor, wrong: DeviceKeys) -> str:
    """Return the name of a chain whose newest wrap for the first device is for another key."""
    entry, _ = identity.rotate_aek(
        person.account, person.root, person.newest, {}, person.account.at, person.entropy
    )
    body = read_entry(entry).body
    if not isinstance(body, AekRotate):
        raise TypeError("an encryption key is rotated there")
    boxes = {wrap.device: wrap.box for wrap in body.devices}
    first, third = sorted(boxes)
    turned = (DeviceWrap(first, boxes[third]), DeviceWrap(third, boxes[first]))
    changed = person.signed(replace(body, devices=turned))
    cases.with_chain("spoilt", [*person.chain, changed])
    return "spoilt"
