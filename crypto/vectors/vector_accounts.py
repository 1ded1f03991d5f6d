"""Cases of account chains: every entry, every refusal."""

from __future__ import annotations

from dataclasses import replace

from vector_cases import Cases
from vector_people import CHECKPOINT, DAY, MINUTE, NOW, Actor
from vector_world import World

from carnet_crypto import sodium
from carnet_crypto.chain import (
    change_of_root,
    device_id,
    possession_of_device,
    read_entry,
    recovery_signer,
    unsigned_entry,
)
from carnet_crypto.chain_bodies import (
    AddDevice,
    AekRotate,
    Delegate,
    Genesis,
    RevokeDevice,
    Roster,
    RosterMember,
    RotateRoot,
    Undelegate,
)
from carnet_crypto.kinds import DeviceFlag, RevocationReason, RosterRole, Scope
from carnet_crypto.labels import Label
from carnet_crypto.secret import identity, recovery
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.seeds import MOST_WRAPS, SEED_FOR_ACCOUNT, AccountWrap, DeviceWrap
from carnet_crypto.values import AccountId, BoxPublic, DeviceId, Digest, SignPublic, SignSeed

LOW_ORDER_SIGN = SignPublic(
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
)
LOW_ORDER_BOX = BoxPublic(bytes(32))
SECOND_ENCODING = BoxPublic((2**255 - 19 + 9).to_bytes(32, "little"))


def accounts(world: World, people: dict[str, Actor]) -> Cases:
    """Return the cases of chains.json."""
    cases = Cases("Entries of account chains, whole chains, and what each becomes.", world)
    for name, person in people.items():
        cases.add(f"{name} begins", "chain.begin", {"entry": person.chain[0].hex()})
        for number, entry in enumerate(person.chain):
            kind = read_entry(entry).body.TYPE.name
            cases.add(f"{name} {number} {kind}: its fields", "chain.entry", {"entry": entry.hex()})
            if number:
                given = {"chain": f"{name}:{number}", "entry": entry.hex()}
                cases.add(f"{name} {number} {kind}: the account", "chain.extend", given)
    _moments(cases)
    _malformed(cases, people)
    _misplaced(cases, people)
    _signers(cases, people)
    _devices(cases, people)
    _wraps(cases, people)
    _roots(cases, people)
    _others(cases, people)
    for name, number in (
        ("patient", 3),
        ("patient", 5),
        ("patient", 8),
        ("patient", 9),
        ("team", 3),
    ):
        given = {"chain": f"{name}:{number}", "entry": people[name].chain[number].hex()}
        cases.sweep(f"every change of {name} {number}", "chain.extend", given, "entry")
    first = {"entry": people["patient"].chain[0].hex()}
    cases.sweep("every change of GENESIS", "chain.begin", first, "entry")
    return cases


def _moments(cases: Cases) -> None:
    for name, at in (
        ("waiting", NOW + MINUTE),
        ("waiting", NOW + MINUTE + 3 * DAY - 1),
        ("waiting", NOW + MINUTE + 3 * DAY),
        ("lost", NOW + DAY),
        ("lost", NOW + DAY + 1),
        ("child", NOW),
        ("child", NOW + 30 * DAY + 1),
        ("patient:7", NOW + 3 * MINUTE),
        ("patient", NOW + 30 * DAY),
        ("team:5", NOW),
    ):
        given = {"chain": name, "at": at}
        cases.add(f"{name} {at - NOW} ms later", "chain.at", given)


def _try(
    cases: Cases, name: str, chain: str, entry: bytes, expect: str, do: str = "chain.extend"
) -> None:
    cases.add(f"{expect}: {name}", do, {"chain": chain, "entry": entry.hex()}, expect)


def _malformed(cases: Cases, people: dict[str, Actor]) -> None:
    doctor = people["doctor"]
    right = doctor.revoked(doctor.devices[0])
    for name, entry in {
        "nothing": b"",
        "another magic": b"CRNC" + right[4:],
        "another version": right[:4] + b"\x02" + right[5:],
        "type 0": right[:5] + b"\x00" + right[6:],
        "type 11": right[:5] + b"\x0b" + right[6:],
        "a time above 2^53 - 1": right[:74] + b"\x00\x20" + bytes(6) + right[82:],
        "a reason that there is not": right[:118] + b"\x04" + right[119:],
        "a byte after its end": right + b"\x00",
        "a body that ends too early": right[:101] + bytes([right[101] - 1]) + right[102:],
        "GENESIS later on": doctor.signed(read_entry(doctor.chain[0]).body),
    }.items():
        _try(cases, name, "doctor", entry, "malformed")
    first = doctor.chain[0]
    for name, entry in {
        "a chain begins with something else": right,
        "GENESIS with a number": first[:38] + b"\x00\x00\x00\x01" + first[42:],
        "GENESIS with an account": first[:6] + b"\x01" * 32 + first[38:],
        "GENESIS with a link": first[:42] + b"\x01" * 32 + first[74:],
        "kind 4": first[:102] + b"\x04" + first[103:],
    }.items():
        cases.add(f"malformed: {name}", "chain.begin", {"entry": entry.hex()}, "malformed")
    rotation = read_entry(people["patient"].chain[11]).body
    if not isinstance(rotation, AekRotate):
        raise TypeError("an encryption key is rotated there")
    twice = replace(rotation, devices=rotation.devices[:1] * 2)
    turned = replace(rotation, devices=rotation.devices[::-1])
    short = replace(rotation, devices=(DeviceWrap(rotation.devices[0].device, b"x" * 150),))
    long = replace(rotation, accounts=(AccountWrap(doctor.id, 1, bytes(168)),))
    none = replace(rotation, recovery=b"")
    before = replace(rotation, previous=bytes(47))
    for name, body in {
        "a device twice": twice,
        "devices out of their order": turned,
        "a wrap that is too short": short,
        "a wrap that is too long": long,
        "no wrap for the recovery key": none,
        "a seed before that is too short": before,
    }.items():
        _try(cases, name, "doctor", doctor.signed(body), "malformed")
    wrap = AccountWrap(people["nurse"].id, 1, bytes(SEED_FOR_ACCOUNT))
    other = Delegate(people["patient"].id, Scope.READ, NOW, NOW + DAY, wrap)
    ends = Delegate(people["nurse"].id, Scope.READ, NOW, NOW, wrap)
    _try(cases, "a delegation wrapped for another", "doctor", doctor.signed(other), "malformed")
    _try(cases, "a delegation without duration", "doctor", doctor.signed(ends), "malformed")


def _misplaced(cases: Cases, people: dict[str, Actor]) -> None:
    doctor, nurse, closed = people["doctor"], people["nurse"], people["closed"]
    body = RevokeDevice(doctor.devices[0].id, RevocationReason.LOST, *CHECKPOINT)
    number = doctor.account.number
    for name, entry, expect in (
        ("of another chain", nurse.revoked(nurse.devices[0]), "refused:wrong-account"),
        ("the same again", doctor.chain[number], "refused:out-of-order"),
        ("one left out", doctor.signed(body, number=number + 1), "refused:out-of-order"),
        ("after another", doctor.signed(body, head=Digest.zero()), "refused:broken-link"),
        ("earlier than the last", doctor.signed(body, at=NOW - 1), "refused:time-regressed"),
    ):
        _try(cases, name, "doctor", entry, expect)
    late = closed.revoked(closed.devices[0], NOW + DAY)
    _try(cases, "after its end", "closed", late, "refused:closed")


def _signers(cases: Cases, people: dict[str, Actor]) -> None:
    doctor, nurse, lost, patient = (people[name] for name in ("doctor", "nurse", "lost", "patient"))
    body = RevokeDevice(doctor.devices[0].id, RevocationReason.LOST, *CHECKPOINT)
    recoverer = recovery_signer(doctor.account.recovery_sign)
    tampered = bytearray(doctor.signed(body))
    tampered[-40] ^= 1
    for name, entry, expect in (
        ("nobody's", doctor.signed(body, signer=bytes(16)), "refused:unknown-signer"),
        (
            "another account's root",
            doctor.signed(body, nurse.root.signing, signer=nurse.root.signer),
            "refused:unknown-signer",
        ),
        (
            "the recovery key says more than a root",
            doctor.signed(body, doctor.recovery.signing, signer=recoverer),
            "refused:not-authorized",
        ),
        (
            "a device says more than a rotation",
            doctor.signed(body, doctor.devices[0].signing, signer=doctor.devices[0].id),
            "refused:not-authorized",
        ),
        ("in the root's name", doctor.signed(body, nurse.root.signing), "signature"),
        ("a signature that was changed", bytes(tampered), "signature"),
    ):
        _try(cases, name, "doctor", entry, expect)
    other_label = unsigned_entry(
        doctor.id, doctor.account.number + 1, doctor.account.head, NOW, doctor.root.signer, body
    )
    signature = doctor.root.signing.sign(Label.SIGN_CONTROL, other_label)
    _try(cases, "under another label", "doctor", other_label + signature, "signature")
    secondary = lost.rotated(lost.devices[1])
    _try(cases, "a secondary device rotates", "lost", secondary, "refused:not-authorized")
    expired = lost.rotated(lost.devices[1], at=NOW + 2 * DAY)
    _try(cases, "a device whose time is over", "lost", expired, "refused:expired-device")
    revoked = patient.rotated(patient.devices[1], at=patient.account.at)
    _try(cases, "a revoked device rotates", "patient", revoked, "refused:revoked-device")


def _devices(cases: Cases, people: dict[str, Actor]) -> None:
    doctor, nurse = people["doctor"], people["nurse"]
    keys = DeviceKeys.generate(doctor.entropy)
    offered = identity.offer(doctor.id, keys, DeviceFlag.PRIMARY)
    newest, account = doctor.newest, doctor.account
    right = identity.add_device(account, doctor.root, offered, newest, NOW, doctor.entropy)
    body = read_entry(right).body
    if not isinstance(body, AddDevice):
        raise TypeError("a device is added there")
    low = replace(body, sign=LOW_ORDER_SIGN)
    low_id = device_id(LOW_ORDER_SIGN, body.box)
    elsewhere = identity.offer(nurse.id, keys, DeviceFlag.PRIMARY).possession
    for name, changed, expect in (
        ("a signing key of low order", replace(low, device=low_id), "refused:bad-key"),
        ("a box key of low order", replace(body, box=LOW_ORDER_BOX), "refused:bad-key"),
        ("a box key's other encoding", replace(body, box=SECOND_ENCODING), "refused:bad-key"),
        ("an id of other keys", replace(body, device=DeviceId(bytes(16))), "refused:bad-device-id"),
        ("held for another account", replace(body, possession=elsewhere), "signature"),
        ("with another flag than was shown", replace(body, flag=DeviceFlag.SERVICE), "signature"),
        ("without the newest seed", replace(body, wrap=b""), "refused:incomplete-wraps"),
    ):
        _try(cases, name, "doctor", doctor.signed(changed), expect)
    again = read_entry(doctor.chain[1]).body
    _try(cases, "a device twice", "doctor", doctor.signed(again), "refused:duplicate")
    unknown = RevokeDevice(keys.id, RevocationReason.LOST, *CHECKPOINT)
    _try(cases, "not a device", "doctor", doctor.signed(unknown), "refused:unknown-device")
    patient = people["patient"]
    twice = RevokeDevice(patient.devices[1].id, RevocationReason.LOST, *CHECKPOINT)
    _try(cases, "revoked twice", "patient", patient.signed(twice), "refused:duplicate")
    bare = people["bare"]
    shown = possession_of_device(bare.id, keys.signing.public, keys.box, DeviceFlag.PRIMARY, 0)
    early = replace(body, possession=keys.signing.sign(Label.SIGN_POSSESSION, shown))
    _try(
        cases, "a seed before there is one", "bare", bare.signed(early), "refused:incomplete-wraps"
    )
    genesis = read_entry(bare.chain[0]).body
    if not isinstance(genesis, Genesis):
        raise TypeError("a chain begins there")
    for name, first in {
        "a root of low order": replace(genesis, root=LOW_ORDER_SIGN),
        "a recovery key of low order": replace(genesis, recovery_box=LOW_ORDER_BOX),
        "a recovery signing key of low order": replace(genesis, recovery_sign=LOW_ORDER_SIGN),
    }.items():
        unsigned = unsigned_entry(AccountId.zero(), 0, Digest.zero(), NOW, bare.root.signer, first)
        entry = unsigned + bare.root.signing.sign(Label.SIGN_ACCOUNT, unsigned)
        cases.add(
            f"refused:bad-key: {name}", "chain.begin", {"entry": entry.hex()}, "refused:bad-key"
        )
    entry = bare.chain[0][:82] + bytes(16) + bare.chain[0][98:]
    cases.add(
        "refused:unknown-signer: GENESIS by another name",
        "chain.begin",
        {"entry": entry.hex()},
        "refused:unknown-signer",
    )


def _wraps(cases: Cases, people: dict[str, Actor]) -> None:
    patient, doctor, lost = people["patient"], people["doctor"], people["lost"]
    right, _ = identity.rotate_aek(
        patient.account, patient.root, patient.newest, {}, patient.account.at, patient.entropy
    )
    body = read_entry(right).body
    if not isinstance(body, AekRotate):
        raise TypeError("an encryption key is rotated there")
    ghost = DeviceWrap(DeviceId(b"\xff" * 16), body.devices[0].box)
    stranger = AccountWrap(doctor.id, 1, bytes(SEED_FOR_ACCOUNT))
    for name, changed, expect in (
        ("a device left out", replace(body, devices=body.devices[:1]), "refused:incomplete-wraps"),
        (
            "a device too many",
            replace(body, devices=(*body.devices, ghost)),
            "refused:incomplete-wraps",
        ),
        ("an account too many", replace(body, accounts=(stranger,)), "refused:incomplete-wraps"),
        ("no seed before", replace(body, previous=b""), "refused:incomplete-wraps"),
        ("a generation left out", replace(body, generation=6), "refused:wrong-generation"),
        ("a generation again", replace(body, generation=4), "refused:wrong-generation"),
        ("a key of low order", replace(body, aek=LOW_ORDER_BOX), "refused:bad-key"),
    ):
        _try(cases, name + " (AEK_ROTATE)", "patient", patient.signed(changed), expect)
    late = identity.rotate_aek(
        lost.account, lost.root, lost.newest, {}, NOW + 2 * DAY, lost.entropy
    )[0]
    cases.add(
        "a device whose time is over gets none",
        "chain.extend",
        {"chain": "lost", "entry": late.hex()},
    )


def _roots(cases: Cases, people: dict[str, Actor]) -> None:
    doctor, waiting = people["doctor"], people["waiting"]
    new = RootKey(SignSeed(doctor.entropy(32)))
    both = identity.rotate_root(
        doctor.account, doctor.recovery.signing, new, NOW, consent=doctor.root
    )
    alone = identity.rotate_root(doctor.account, doctor.recovery.signing, new, NOW)
    other = identity.rotate_root(
        doctor.account, doctor.root, new, NOW, consent=doctor.recovery.signing
    )
    for name, entry in {
        "a root by the recovery key and the root": both,
        "a root by the recovery key alone": alone,
        "a root by the root, and the recovery key agrees": other,
    }.items():
        cases.add(name, "chain.extend", {"chain": "doctor", "entry": entry.hex()})
    shown = change_of_root(
        doctor.id, doctor.account.number + 1, doctor.account.head, new.signing.public
    )
    held = new.signing.sign(Label.SIGN_POSSESSION, shown)
    nobody = doctor.root.signing.sign(Label.SIGN_POSSESSION, shown)
    agreed = bytes(new.signing.sign(Label.SIGN_ROOT_CHANGE, shown))
    recoverer = recovery_signer(doctor.account.recovery_sign)
    short = RotateRoot(new.signing.public, held, agreed[:63])
    _try(cases, "a consent of 63 bytes", "doctor", doctor.signed(short), "malformed")
    unheld = RotateRoot(new.signing.public, nobody, b"")
    _try(cases, "a root that nobody holds", "doctor", doctor.signed(unheld), "signature")
    forged = RotateRoot(new.signing.public, held, agreed)
    entry = doctor.signed(forged, doctor.recovery.signing, signer=recoverer)
    _try(cases, "a consent of the new root itself", "doctor", entry, "signature")
    low = RotateRoot(LOW_ORDER_SIGN, held, b"")
    _try(
        cases, "a root of low order (ROTATE_ROOT)", "doctor", doctor.signed(low), "refused:bad-key"
    )
    again = recovery.recovery_entry(waiting.recovery, b"")
    entry = identity.set_recovery(waiting.account, waiting.root, again, NOW + DAY)
    _try(cases, "recovery keys while a root waits", "waiting", entry, "refused:not-authorized")
    late = identity.close(waiting.account, waiting.root, NOW + 4 * DAY)
    _try(cases, "the old root after the delay", "waiting", late, "refused:unknown-signer")
    objection = identity.rotate_root(
        waiting.account, waiting.root, RootKey(SignSeed(waiting.entropy(32))), NOW + DAY
    )
    cases.add(
        "the old root objects", "chain.extend", {"chain": "waiting", "entry": objection.hex()}
    )
    for passes, memory in ((2, 65536), (11, 65536), (3, 65535), (3, 1048577)):
        weak = replace(again, passes=passes, memory_kib=memory)
        entry = identity.set_recovery(doctor.account, doctor.root, weak, NOW)
        name = f"{passes} passes over {memory} KiB"
        _try(cases, name, "doctor", entry, "refused:weak-parameters")
    for name, changed in {
        "box": replace(again, recovery_box=LOW_ORDER_BOX),
        "signing": replace(again, recovery_sign=LOW_ORDER_SIGN),
    }.items():
        entry = identity.set_recovery(doctor.account, doctor.root, changed, NOW)
        _try(
            cases,
            f"a recovery {name} key of low order (RECOVERY_SET)",
            "doctor",
            entry,
            "refused:bad-key",
        )


def _others(cases: Cases, people: dict[str, Actor]) -> None:
    doctor, nurse, team, bare = (people[name] for name in ("doctor", "nurse", "team", "bare"))
    box = bytes(SEED_FOR_ACCOUNT)
    to_self = Delegate(doctor.id, Scope.READ, NOW, NOW + DAY, AccountWrap(doctor.id, 1, box))
    _try(cases, "a delegate of oneself", "doctor", doctor.signed(to_self), "refused:wrong-account")
    early = Delegate(nurse.id, Scope.READ, NOW, NOW + DAY, AccountWrap(nurse.id, 1, box))
    _try(
        cases,
        "a delegate before there is a key",
        "bare",
        bare.signed(early),
        "refused:wrong-generation",
    )
    _try(
        cases,
        "not a delegate",
        "doctor",
        doctor.signed(Undelegate(nurse.id)),
        "refused:unknown-member",
    )
    member = RosterMember(AccountWrap(nurse.id, 1, box), RosterRole.MEMBER)
    own = RosterMember(AccountWrap(team.id, 1, box), RosterRole.MEMBER)
    _try(
        cases,
        "a roster of a person",
        "doctor",
        doctor.signed(Roster((member,))),
        "refused:not-authorized",
    )
    _try(
        cases,
        "a team in its own roster",
        "team",
        team.signed(Roster((own,))),
        "refused:not-authorized",
    )
    stuffed = team.signed(Roster((member,)), sodium.SigningKey(SignSeed(bytes(32))))
    _try(cases, "a roster by nobody of the team", "team", stuffed, "signature")
    ids = [AccountId(number.to_bytes(32, "big")) for number in range(MOST_WRAPS)]
    many = tuple(RosterMember(AccountWrap(id_, 1, box), RosterRole.MEMBER) for id_ in ids)
    before = team.account
    team.add(team.signed(Roster(many)))
    full = team.chain.pop()
    delegation = team.signed(early)
    team.account = before
    cases.with_chain("full", [*team.chain, full])
    _try(cases, "a delegate more than can be wrapped for", "full", delegation, "refused:too-many")
