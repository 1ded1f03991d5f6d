"""T60-T66: backups changed or cheapened, an oracle, and who stands between two devices."""

from __future__ import annotations

import time
from dataclasses import replace
from unicodedata import normalize

import pytest
from correspondents import NOW, Person, cheap_recovery, seeded

from carnet_crypto import sodium
from carnet_crypto.errors import (
    Malformed,
    OpenFailed,
    ProtocolError,
    Reason,
    Refused,
    SignatureFailed,
)
from carnet_crypto.hashing import digest
from carnet_crypto.kinds import DeviceFlag
from carnet_crypto.labels import Label
from carnet_crypto.secret import identity, pairing
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.secret.pairing import MOST_ATTEMPTS, NewDevice, OldDevice
from carnet_crypto.secret.recovery import (
    RecoveryCode,
    Stretching,
    backup_digest,
    open_backup,
    recovery_entry,
    seal_backup,
    stretch,
)
from carnet_crypto.values import SignSeed


def code() -> RecoveryCode:
    return cheap_recovery(seeded(1))[0]


@pytest.fixture
def derivations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Count what is derived, and derive it."""
    made, real = [], sodium.argon2id

    def counted(passphrase, salt, *, passes, memory_kib):
        made.append((passes, memory_kib))
        return real(passphrase, salt, passes=passes, memory_kib=memory_kib)

    monkeypatch.setattr(sodium, "argon2id", counted)
    return made


def test_t60_kdf_downgrade(derivations: list[tuple[int, int]]) -> None:
    person = Person.enrol(seeded(1))
    derivations.clear()
    salt = b"s" * 16
    for passes, memory in ((1, 8), (2, 65_536), (3, 65_535), (0, 65_536), (11, 65_536),
                           (3, 2**21)):  # fmt: skip
        cheap = Stretching(passes, memory, salt)
        with pytest.raises(Refused) as caught:
            stretch(code(), "", cheap)
        assert caught.value.reason is Reason.WEAK_PARAMETERS
        # A server that hands such a backup: the parameters are the chain's, never the backup's.
        lying = person.backup[:5] + cheap.encode() + person.backup[5 + 21 :]
        with pytest.raises(OpenFailed):
            open_backup(lying, person.account, code(), "")
        weak = replace(person.account.recovery, passes=passes, memory_kib=memory)
        with pytest.raises(OpenFailed):
            open_backup(person.backup, replace(person.account, recovery=weak), code(), "")
        entry = identity.set_recovery(person.account, person.root, weak, NOW)
        with pytest.raises(Refused) as caught:
            person.account.extend(entry)
        assert caught.value.reason is Reason.WEAK_PARAMETERS
    assert derivations == []
    root, _ = open_backup(person.backup, person.account, code(), "")
    assert root.secret_bytes() == person.root.secret_bytes() and len(derivations) == 1


def test_t61_backup_rollback_and_swap() -> None:
    person, other = Person.enrol(seeded(1)), Person.enrol(seeded(2))
    old = person.backup
    person.backup = seal_backup(person.recovery, person.id, person.account.number + 1, person.root)
    person.extend(
        identity.set_recovery(
            person.account, person.root, recovery_entry(person.recovery, person.backup), NOW
        )
    )
    for backup in (old, other.backup, b"", person.backup[:-1], person.backup + b"\x00"):
        with pytest.raises(OpenFailed):
            open_backup(backup, person.account, code(), "")
    # Under another account's chain that even names it, and with the same code: another root.
    named = replace(other.account.recovery, backup=backup_digest(person.backup))
    with pytest.raises(OpenFailed):
        open_backup(person.backup, replace(other.account, recovery=named), code(), "")
    assert open_backup(person.backup, person.account, code(), "")[0]
    # A server's own recovery keys do not get into the chain, nor does a new root pending.
    forged = identity.set_recovery(
        person.account, other.root, recovery_entry(other.recovery, other.backup), NOW
    )
    with pytest.raises(Refused):
        person.account.extend(forged)


def test_t62_oracle(derivations: list[tuple[int, int]]) -> None:
    person, chance = Person.enrol(seeded(1)), seeded(62)
    derivations.clear()
    texts, spent = set(), []
    for number in range(10_000):
        blob = bytearray(person.backup)
        at = int.from_bytes(chance(4), "big") % len(blob)
        blob[at] ^= 1 + chance(1)[0] % 255
        if number % 7 == 0:
            del blob[at:]
        start = time.perf_counter()
        try:
            open_backup(bytes(blob), person.account, code(), "")
        except OpenFailed as error:
            texts.add((type(error), str(error), error.args))
        spent.append(time.perf_counter() - start)
    assert texts == {(OpenFailed, "cannot be opened", ("cannot be opened",))}
    # Nothing is derived for what the chain does not name: there is no time to be measured.
    assert derivations == []
    early, late = sorted(spent[:5000]), sorted(spent[5000:])
    assert late[2500] < 5 * early[2500] + 0.001
    # And where only the code is wrong, it is the same error again.
    for wrong, passphrase in ((RecoveryCode(b"another code of 20 b"), ""), (code(), "x")):
        with pytest.raises(OpenFailed) as caught:
            open_backup(person.backup, person.account, wrong, passphrase)
        assert str(caught.value) == "cannot be opened"


def test_t63_wrong_root() -> None:
    person = Person.enrol(seeded(1))
    wrong = RootKey(SignSeed(b"w" * 32))
    # Whoever could seal with the code's keys puts another root there; the chain even names it.
    backup = seal_backup(person.recovery, person.id, person.account.number + 1, wrong)
    person.extend(
        identity.set_recovery(
            person.account, person.root, recovery_entry(person.recovery, backup), NOW
        )
    )
    with pytest.raises(OpenFailed):
        open_backup(backup, person.account, code(), "")


def test_t64_backup_size() -> None:
    people = [Person.enrol(seeded(seed)) for seed in (1, 2, 3)]
    assert len({len(person.backup) for person in people}) == 1
    recovery = people[0].recovery
    for number in (0, 1, 2**32 - 1):
        made = seal_backup(recovery, people[0].id, number, people[0].root)
        assert len(made) == len(people[0].backup)


def test_a_passphrase_is_one_however_it_is_typed() -> None:
    how = Stretching(3, 65_536, b"s" * 16)
    words = "pâtisserie \N{LATIN SMALL LIGATURE FI}ne \N{FULLWIDTH DIGIT ONE}"
    boxes = {
        stretch(code(), normalize(form, words), how).box for form in ("NFC", "NFD", "NFKC", "NFKD")
    }
    assert len(boxes) == 1
    assert stretch(code(), "patisserie fine 1", how).box not in boxes
    for bad in ("\ud800", "x" * 2000):
        with pytest.raises(Malformed):
            stretch(code(), bad, how)
        person = Person.enrol(seeded(1))
        with pytest.raises(OpenFailed):
            open_backup(person.backup, person.account, code(), bad)


def test_codes_are_read_as_they_are_typed_and_no_other_way() -> None:
    text = code().text
    assert RecoveryCode.read(text.lower()).bits == code().bits
    plain = text.replace("-", "")
    for at in range(len(plain)):
        for other in "0Z9":
            typed = plain[:at] + other + plain[at + 1 :]
            if typed != plain:
                with pytest.raises(Malformed):
                    RecoveryCode.read(typed)
    for bad in ("", plain[:-1], plain + "0", "É" * 34, "\ud800" * 34, "٣" * 34, "U" + plain[1:]):
        with pytest.raises(Malformed):
            RecoveryCode.read(bad)


def devices(person: Person) -> tuple[DeviceKeys, NewDevice, OldDevice]:
    keys = DeviceKeys.generate(seeded(9))
    return (
        keys,
        NewDevice(keys, DeviceFlag.SECONDARY, seeded(10)),
        OldDevice(person.account, seeded(11)),
    )


def test_t65_somebody_between_two_devices() -> None:
    person = Person.enrol(seeded(1))
    keys, new, old = devices(person)
    mallory = NewDevice(DeviceKeys.generate(seeded(20)), DeviceFlag.PRIMARY, seeded(21))
    # By camera: what the old device saw is the only one it adds.
    shown = old.scan(new.show())
    answer = new.scan(shown)
    assert (answer.account, answer.root) == (person.id, person.account.root)
    with pytest.raises(Refused) as caught:
        old.accept(mallory.prove(answer))
    assert caught.value.reason is Reason.MISMATCH
    # The answer to another device is not taken.
    with pytest.raises(Refused) as caught:
        mallory.scan(old.scan(new.show()))
    assert caught.value.reason is Reason.MISMATCH
    offered = old.accept(new.prove(answer))
    assert offered.device == keys.id
    person.extend(
        identity.add_device(
            person.account, person.root, offered, person.newest, NOW, person.entropy
        )
    )
    assert person.account.devices[keys.id].flag is DeviceFlag.SECONDARY
    # A proof for another account, or of another flag, does not hold.
    other = Person.enrol(seeded(2))
    old.scan(new.show())
    with pytest.raises(SignatureFailed):
        old.accept(new.prove(pairing.Answer(other.id, other.account.root)))
    old.scan(new.show())
    proof = new.prove(answer)
    with pytest.raises(SignatureFailed):
        old.accept(proof[:69] + b"\x01" + proof[70:])
    with pytest.raises(Refused):  # each that was seen is accepted once
        old.accept(new.prove(answer))


def test_t65_digits_differ() -> None:
    person, other = Person.enrol(seeded(1)), Person.enrol(seeded(2))
    _, new, old = devices(person)
    reply = old.reply(new.commit())
    revealed, answer, digits = new.reveal(reply)
    assert old.compare(revealed) == digits and len(digits.replace(" ", "")) == 12
    old.accept(new.prove(answer))
    # Mallory talks to both with keys of their own: the digits are not the same.
    _, new, old = devices(person)
    keys = DeviceKeys.generate(seeded(20))
    middle = NewDevice(keys, DeviceFlag.PRIMARY, seeded(21))
    posing = OldDevice(other.account, seeded(22))
    theirs = middle.reveal(old.reply(middle.commit()))
    _, _, seen_by_new = new.reveal(posing.reply(new.commit()))
    assert old.compare(theirs[0]) != seen_by_new
    old.refuse()
    with pytest.raises(Refused):  # the people said no: it is not added
        old.accept(middle.prove(theirs[1]))
    with pytest.raises(Refused) as caught:  # and one exchange is one try
        new.reveal(reply)
    assert caught.value.reason is Reason.LOCKED


@pytest.mark.parametrize("way", ["camera", "digits", "left", "refused"])
def test_t65_the_third_failure_locks(way: str) -> None:
    person = Person.enrol(seeded(1))
    _, new, old = devices(person)
    answer = pairing.Answer(person.id, person.account.root)

    def fail(number: int) -> None:
        mallory = NewDevice(DeviceKeys.generate(seeded(number)), DeviceFlag.PRIMARY, seeded(number))
        if way == "camera":
            old.scan(new.show())
            with pytest.raises(Refused):
                old.accept(mallory.prove(answer))
        elif way == "digits":
            old.reply(new.commit())
            with pytest.raises(Refused):
                old.compare(mallory.reveal(pairing.MAGIC_REPLY + bytes(80))[0])
        elif way == "left":
            old.reply(mallory.commit())
        else:
            old.compare(mallory.reveal(old.reply(mallory.commit()))[0])
            old.refuse()

    for number in range(MOST_ATTEMPTS):
        fail(100 + number)
    acts = [
        lambda: old.reply(new.commit()),
        lambda: old.scan(new.show()),
        lambda: old.compare(pairing.MAGIC_REVEAL + bytes(80)),
        lambda: old.accept(new.prove(answer)),
    ]
    if way == "left":  # the third is still open: it may be the right one
        with pytest.raises(Refused) as caught:
            acts[0]()
        assert caught.value.reason is Reason.LOCKED
    for act in acts:
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.reason is Reason.LOCKED


def test_t66_digits_cannot_be_ground() -> None:
    person = Person.enrol(seeded(1))
    _, _, old = devices(person)
    mallory = DeviceKeys.generate(seeded(20))
    committed = NewDevice(mallory, DeviceFlag.PRIMARY, seeded(21))
    old.reply(committed.commit())
    # Now that the nonce of the old device is known, another nonce or key would give the digits.
    public = mallory.signing.public + mallory.box
    for nonce in (b"g" * 16, b"h" * 16):
        assert digest(Label.SAS_COMMITMENT, public, nonce) != committed.commit()[5:]
    with pytest.raises(Refused) as caught:
        old.compare(pairing.MAGIC_REVEAL + public + b"g" * 16)
    assert caught.value.reason is Reason.MISMATCH
    # A commitment is good for one reveal: the true one comes too late.
    with pytest.raises(Refused):
        old.compare(pairing.MAGIC_REVEAL + public + b"h" * 16)
    # The old device shows nothing before it was committed to.
    fresh = OldDevice(person.account, seeded(11))
    with pytest.raises(Refused):
        fresh.compare(pairing.MAGIC_REVEAL + public + b"g" * 16)
    for bad in (b"", b"CRNS\x01", pairing.MAGIC_COMMIT + bytes(33), b"CRNS\x02" + bytes(32)):
        with pytest.raises(ProtocolError):
            OldDevice(person.account, seeded(11)).reply(bad)
