"""Cases of recovery, pairing and safety numbers."""

from __future__ import annotations

from typing import Any

from vector_cases import Cases
from vector_people import Actor, Stream
from vector_world import World

from carnet_crypto.account import Account
from carnet_crypto.secret import recovery
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.values import SignSeed


def recoveries(world: World, people: dict[str, Actor]) -> Cases:
    """Return the cases of recovery.json."""
    cases = Cases("Recovery codes, what they lead to, and backups.", world)
    patient = people["patient"]
    text = patient.code.text
    for name, typed in {
        "as it is shown": text,
        "in lower case, with spaces": text.lower().replace("-", "  "),
        "with letters that look alike": text.replace("0", "o").replace("1", "L"),
        "without any separation": text.replace("-", ""),
        "of zeros": "0" * 34,
        "of ones": recovery.RecoveryCode(b"\xff" * 20).text,
    }.items():
        cases.add(f"a code {name}", "code.read", {"text": typed})
    wrong = "".join("1" if c == "0" else "0" for c in text[-2:])
    for name, typed in {
        "nothing": "",
        "a character too few": text[:-1],
        "a character too many": text + "0",
        "U is no character": "U" + text[1:],
        "a wrong check": text[:-2] + wrong,
        "one character is another": ("A" if text[0] != "A" else "B") + text[1:],
        "a space that is not ASCII": text + "\xa0",
        "a capital that is two letters": text.replace("-", "\xdf", 1),
        "a small letter that is none of ASCII": "\u0131" + text[1:],
        "two characters turned": text[1] + text[0] + text[2:],
    }.items():
        cases.add(f"malformed: {name}", "code.read", {"text": typed}, "malformed")
    how = patient.recovery.stretching
    given: dict[str, Any] = {
        "code": patient.code.bits.hex(),
        "passphrase": "",
        "passes": how.passes,
        "memoryKib": how.memory_kib,
        "salt": how.salt.hex(),
    }
    cases.add("a code alone", "recovery.stretch", given)
    cases.add("with a passphrase", "recovery.stretch", {**given, "passphrase": "caf\u00e9"})
    cases.add("composed otherwise", "recovery.stretch", {**given, "passphrase": "cafe\u0301"})
    weak = "refused:weak-parameters"
    for passes, memory in ((1, 8), (2, 65536), (3, 65535), (11, 65536), (3, 1048577)):
        changed = {**given, "passes": passes, "memoryKib": memory}
        cases.add(f"{weak}: {passes} passes, {memory} KiB", "recovery.stretch", changed, weak)
    cases.add(f"{weak}: a salt of 15 bytes", "recovery.stretch", {**given, "salt": "00" * 15}, weak)
    half = {**given, "passphrase": "\ud800"}
    cases.add("malformed: half a surrogate pair", "recovery.stretch", half, "malformed")
    _backups(cases, people)
    return cases


def _backups(cases: Cases, people: dict[str, Actor]) -> None:
    saver, other = people["saver"], people["doctor"]
    backup = recovery.seal_backup(saver.recovery, saver.id, 3, saver.root)
    given = {
        "chain": "saver",
        "backup": backup.hex(),
        "code": saver.code.bits.hex(),
        "passphrase": "",
    }
    cases.add("a backup", "backup.open", given)
    again = recovery.seal_backup(saver.recovery, saver.id, 2, saver.root)
    for name, changed in {
        "another code": {"code": other.code.bits.hex()},
        "another passphrase": {"passphrase": "words"},
        "another backup of the same root": {"backup": again.hex()},
        "one bit of it changed": {"backup": (backup[:-1] + bytes([backup[-1] ^ 1])).hex()},
        "a chain that names none": {"chain": "doctor"},
    }.items():
        cases.add(f"open: {name}", "backup.open", {**given, **changed}, "open")
    stranger = RootKey(SignSeed(bytes(32)))
    foreign = recovery.seal_backup(saver.recovery, other.id, 3, saver.root)
    rootless = recovery.seal_backup(saver.recovery, saver.id, 3, stranger)
    for name, data in {
        "of another account": foreign,
        "with another root": rootless,
        "cut": backup[:-1],
        "committed to another key": backup[:62] + bytes(32) + backup[94:],
    }.items():
        chain = [*saver.chain[:3], _naming(saver, data)]
        cases.with_chain(f"saver {name}", chain)
        changed = {**given, "chain": f"saver {name}", "backup": data.hex()}
        cases.add(f"open: named by the chain, and {name}", "backup.open", changed, "open")


def _naming(person: Actor, backup: bytes) -> bytes:
    """Return the entry that names any backup, after the first three."""
    before = Account.replay(person.chain[:3])
    body = recovery.recovery_entry(person.recovery, backup)
    return person.signed(body, number=before.number, head=before.head)


def make_saver() -> Actor:
    """Return an account whose newest entry names its backup."""
    saver = Actor.enrol("saver")
    backup = recovery.seal_backup(saver.recovery, saver.id, 3, saver.root)
    saver.add(saver.signed(recovery.recovery_entry(saver.recovery, backup)))
    return saver


def pairings(world: World, people: dict[str, Actor]) -> Cases:
    """Return the cases of pairing.json."""
    cases = Cases("Two devices that make sure of each other, by camera and by digits.", world)
    entropy = Stream(b"carnet vectors: pairing")
    keys, other = DeviceKeys.generate(entropy), DeviceKeys.generate(entropy)
    given: dict[str, Any] = {
        "chain": "doctor",
        "device": keys.secret_bytes().hex(),
        "flag": 1,
        "newNonce": entropy(16).hex(),
        "oldNonce": entropy(16).hex(),
    }
    camera = cases.add("by camera", "pairing.camera", given)
    digits = cases.add("by digits", "pairing.digits", given)
    attacker = {**given, "device": other.secret_bytes().hex()}
    middle = cases.add("by camera, another device", "pairing.camera", attacker)
    swapped = cases.add("by digits, another device", "pairing.digits", attacker)
    shown, answer, proof = (bytes.fromhex(camera[key]) for key in ("shown", "answer", "proof"))
    low = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
    mismatch = "refused:mismatch"
    for name, changed, expect in (
        ("another device is scanned", {"shown": middle["shown"]}, mismatch),
        ("another answer is scanned", {"answer": middle["answer"]}, mismatch),
        ("another device proves itself", {"proof": middle["proof"]}, mismatch),
        ("a nonce that was changed", {"shown": (shown[:-1] + b"\x00").hex()}, mismatch),
        ("a key of low order", {"proof": (proof[:5] + low + proof[37:]).hex()}, mismatch),
        (
            "a device's flag that was changed",
            {"proof": (proof[:69] + b"\x02" + proof[70:]).hex()},
            "signature",
        ),
        ("shown: cut", {"shown": shown[:-1].hex()}, "malformed"),
        ("shown: a byte more", {"shown": shown.hex() + "00"}, "malformed"),
        ("answer: another magic", {"answer": (b"CRNQ" + answer[4:]).hex()}, "malformed"),
        ("answer: cut", {"answer": answer[:-1].hex()}, "malformed"),
        (
            "proof: a flag that there is not",
            {"proof": (proof[:69] + b"\x04" + proof[70:]).hex()},
            "malformed",
        ),
        ("proof: cut", {"proof": proof[:-1].hex()}, "malformed"),
    ):
        cases.add(f"{expect}: camera, {name}", "pairing.camera", {**given, **changed}, expect)
    revealed, reply = (bytes.fromhex(digits[key]) for key in ("revealed", "reply"))
    for name, changed, expect in (
        ("another commitment", {"commitment": swapped["commitment"]}, mismatch),
        ("another reveal", {"revealed": swapped["revealed"]}, mismatch),
        (
            "keys changed after the reply",
            {"revealed": (revealed[:5] + low + revealed[37:]).hex()},
            mismatch,
        ),
        ("another device proves itself", {"proof": swapped["proof"]}, mismatch),
        ("a third failure before", {"failures": 3}, "refused:locked"),
        ("commitment: cut", {"commitment": digits["commitment"][:-2]}, "malformed"),
        ("reply: another version", {"reply": (reply[:4] + b"\x02" + reply[5:]).hex()}, "malformed"),
        ("revealed: a byte more", {"revealed": digits["revealed"] + "00"}, "malformed"),
    ):
        cases.add(f"{expect}: digits, {name}", "pairing.digits", {**given, **changed}, expect)
    between = {**given, "reply": (reply[:69] + bytes(16)).hex()}
    told = cases.add("somebody between: the digits differ", "pairing.digits", between)
    if told["newDigits"] == told["oldDigits"]:
        raise AssertionError("digits that somebody between can choose")
    return cases


def safety(world: World, people: dict[str, Actor]) -> Cases:
    """Return the cases of safety.json."""
    cases = Cases("Safety numbers of pairs: the same from both sides.", world)
    pair = [
        {"account": people[name].id.hex(), "root": people[name].account.root.hex()}
        for name in ("doctor", "patient")
    ]
    cases.add("a pair", "safety", {"pair": pair})
    cases.add("the same pair from the other side", "safety", {"pair": pair[::-1]})
    before = {**pair[1], "root": people["patient"].account.first_root.hex()}
    cases.add("before a root was changed", "safety", {"pair": [pair[0], before]})
    return cases
