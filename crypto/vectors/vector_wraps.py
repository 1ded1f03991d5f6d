"""The logs that all cases are about, and cases of wraps: opened, moved, and who may get one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vector_cases import Cases
from vector_people import DAY, MINUTE, NOW, POLICY, Actor, Log
from vector_world import World

from carnet_crypto import sodium
from carnet_crypto.control_bodies import Added
from carnet_crypto.kinds import History, RemovalReason, Role, Roles
from carnet_crypto.labels import Label
from carnet_crypto.secret import conversation
from carnet_crypto.values import AccountId, BoxSecret, Digest
from carnet_crypto.wire import u32


def make_logs(people: dict[str, Actor]) -> dict[str, Log]:
    """Return the logs that all files are about."""
    doctor, patient, nurse = (people[name] for name in ("doctor", "patient", "nurse"))
    known = {person.id: person.account for person in people.values()}
    at = NOW + 10 * MINUTE

    def begin(*roles: tuple[Actor, Role], policy: Any = POLICY) -> Log:
        members = [(person.account, role) for person, role in roles]
        return Log.begin(conversation.create(doctor.writer(at), policy, members), doctor)

    care = begin((doctor, Role.MANAGER), (patient, Role.MEMBER))
    joined = Added(nurse.id, Role.MEMBER, 1)
    care.add(
        conversation.add(doctor.writer(at), care.thread, known, [joined], care.secrets), doctor
    )
    patient_writer = patient.writer(at + MINUTE, patient.devices[2])
    care.add(conversation.rotate(patient_writer, care.thread, known), patient)
    gone = conversation.remove(
        doctor.writer(at + 2 * MINUTE), care.thread, known, nurse.id, RemovalReason.LEFT_CARE
    )
    care.add(gone, doctor)
    policy = replace(POLICY, history=History.NONE, retention_days=365)
    writer = doctor.writer(at + 3 * MINUTE)
    care.add(conversation.set_policy(writer, care.thread, policy), doctor)
    care.add(conversation.resolve_fork(writer, care.thread, 3, Digest(b"\x05" * 32)), doctor)
    left = begin((doctor, Role.MANAGER), (patient, Role.MEMBER), (nurse, Role.MEMBER))
    left.add(conversation.leave(nurse.writer(at), left.thread), nurse)
    ended = begin((doctor, Role.MANAGER), (patient, Role.MEMBER))
    ended.add(conversation.close(doctor.writer(at), ended.thread), doctor)
    strict = begin(
        (doctor, Role.MANAGER),
        (patient, Role.GUARDIAN),
        (nurse, Role.READER),
        policy=replace(
            POLICY,
            may_add=Roles.MANAGER | Roles.GUARDIAN | Roles.READER,
            may_remove=Roles.MANAGER | Roles.GUARDIAN,
            history=History.FROM_EPOCH,
            is_delegation_allowed=False,
        ),
    )
    lasting = conversation.create(
        people["lost"].writer(at, people["lost"].devices[1]),
        POLICY,
        [(people["lost"].account, Role.MANAGER), (doctor.account, Role.MEMBER)],
    )
    device = Log.begin(lasting, people["lost"])
    return {"care": care, "left": left, "ended": ended, "strict": strict, "device": device}


def wraps(world: World, people: dict[str, Actor], logs: dict[str, Log]) -> Cases:
    """Return the cases of wraps.json."""
    cases = Cases("Secrets of epochs: opened, substituted, moved; and who may get one.", world)
    doctor, patient, nurse, care = (
        people["doctor"],
        people["patient"],
        people["nurse"],
        logs["care"],
    )
    for number, written in enumerate(care.written):
        for each in written.wraps:
            (who,) = [person for person in people.values() if person.id == each.account]
            epoch = next(e.number for e in care.thread.epochs if e.entry == number)
            cases.add(
                f"epoch {epoch} for {who.name}", "wrap.open", _wrap("care", epoch, who, each.wrap)
            )
    (older,) = care.written[1].history
    cases.add("epoch 1 for nurse, as history", "wrap.open", _wrap("care", 1, nurse, older.wrap))
    wraps_of = {number: written.wraps for number, written in enumerate(care.written)}
    first = {each.account: each.wrap for each in wraps_of[0]}
    second = {each.account: each.wrap for each in wraps_of[1]}
    elsewhere = {each.account: each.wrap for each in logs["left"].written[0].wraps}
    spoilt = _substituted(care, doctor)
    for name, given in {
        "another's": _wrap("care", 1, doctor, first[patient.id]),
        "of another epoch": _wrap("care", 2, doctor, first[doctor.id]),
        "of another thread": _wrap("care", 1, doctor, elsewhere[doctor.id]),
        "for an epoch that there is not": _wrap("care", 9, doctor, first[doctor.id]),
        "for epoch 0": _wrap("care", 0, doctor, first[doctor.id]),
        "one byte too short": _wrap("care", 1, doctor, first[doctor.id][:-1]),
        "one byte too long": _wrap("care", 1, doctor, first[doctor.id] + b"\x00"),
        "a secret that was not committed to": _wrap("care", 1, doctor, spoilt),
        "for another account with our key": {
            **_wrap("care", 1, doctor, first[doctor.id]),
            "own": nurse.id.hex(),
        },
    }.items():
        cases.add(f"open: {name}", "wrap.open", given, "open")
    cases.sweep(
        "every change of a wrap", "wrap.open", _wrap("care", 1, doctor, first[doctor.id]), "wrap"
    )
    _complete(cases, first, second)
    _recipients(cases)
    return cases


def _wrap(log: str, epoch: int, who: Actor, wrap: bytes) -> dict[str, Any]:
    numbers = range(1, len(who.account.generations) + 1)
    seeds = {str(number): who.aeks[number].seed.hex() for number in numbers}
    return {
        "log": log,
        "epoch": epoch,
        "own": who.id.hex(),
        "seeds": seeds,
        "wrap": bytes(wrap).hex(),
    }


def _substituted(log: Log, who: Actor) -> bytes:
    """Return a wrap that is right in all but its secret."""
    message = Label.WRAP.prefix + log.thread.context + u32(1) + who.id + u32(1) + bytes(32)
    return sodium.seal(message, who.aeks[1].public, BoxSecret(who.entropy(32)))


def _complete(cases: Cases, first: dict[AccountId, Any], second: dict[AccountId, Any]) -> None:
    def listed(wraps: dict[AccountId, Any]) -> list[dict[str, str]]:
        return [{"account": id_.hex(), "wrap": wrap.hex()} for id_, wrap in wraps.items()]

    right = listed(first)
    changed = [{**right[0], "wrap": listed(second)[0]["wrap"]}, right[1]]
    cases.add("all wraps of an epoch", "control.wraps", {"log": "care:1", "wraps": right})
    cases.add("in any order", "control.wraps", {"log": "care:1", "wraps": right[::-1]})
    for name, wraps in {
        "one is missing": right[:1],
        "one twice": [*right, right[0]],
        "one is another": changed,
        "those of another epoch": listed(second),
    }.items():
        given = {"log": "care:1", "wraps": wraps}
        expect = "refused:incomplete-wraps"
        cases.add(f"{expect}: {name}", "control.wraps", given, expect)
    given = {"log": "care:1", "chains": ["doctor", "patient"]}
    cases.add("keys that chains hold", "control.keys", given)
    for name, chains, expect in (
        ("a member whose chain is not there", ["doctor"], "refused:unknown-member"),
        ("a member whose chain is older", ["doctor", "patient:8"], "refused:wrong-generation"),
        ("a member without any key", ["doctor", "patient:2"], "refused:wrong-generation"),
    ):
        given = {"log": "care:1", "chains": chains}
        cases.add(f"{expect}: {name}", "control.keys", given, expect)


def _recipients(cases: Cases) -> None:
    for name, log, chain, at, expect in (
        ("a member like any", "care", "doctor", NOW, "ok"),
        ("a child with a delegate, where that is allowed", "care", "child", NOW, "ok"),
        (
            "a delegation that is over, and nothing rotated",
            "care",
            "child",
            NOW + 31 * DAY,
            "refused:rotation-due",
        ),
        ("a device revoked, and nothing rotated", "care", "stolen", NOW, "refused:rotation-due"),
        ("a delegation not allowed here", "strict", "child", NOW, "refused:delegation-forbidden"),
        ("no key yet", "care", "bare", NOW, "refused:wrong-generation"),
        ("a closed account", "care", "closed", NOW, "refused:closed"),
    ):
        given = {"log": log, "chain": chain, "at": at}
        cases.add(
            name if expect == "ok" else f"{expect}: {name}", "control.recipient", given, expect
        )
    both = ["doctor", "patient"]
    at = NOW + 10 * MINUTE
    for name, log, chains, when, messages, expect in (
        ("nothing is due", "care:1", both, at, 199, "ok"),
        ("due after 200 messages", "care:1", both, at, 200, "ok"),
        ("due after seven days", "care:1", both, at + 7 * DAY + 1, 0, "ok"),
        ("not due on the seventh", "care:1", both, at + 7 * DAY, 0, "ok"),
        ("due when somebody left", "left", [*both, "nurse"], at, 0, "ok"),
        (
            "an account of the past",
            "care:1",
            ["doctor", "patient:8"],
            at,
            0,
            "refused:wrong-generation",
        ),
    ):
        given = {"log": log, "chains": chains, "at": when, "messages": messages}
        cases.add(name if expect == "ok" else f"{expect}: {name}", "control.due", given, expect)
