"""T49-T55, T71: keys nobody may use, malleable and borrowed signatures, what errors tell."""

from __future__ import annotations

import logging
import traceback

import pytest
from correspondents import CHECKPOINT, NOW, Person, cheap_recovery, seeded
from forging import message
from honest_client import denied, meet
from nacl import bindings

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.admission import admit_box_key, admit_sign_key
from carnet_crypto.chain import device_id, possession_of_device, unsigned_entry
from carnet_crypto.chain_bodies import AddDevice
from carnet_crypto.checkpoint import NoteKey
from carnet_crypto.device import verify_login
from carnet_crypto.errors import (
    Malformed,
    OpenFailed,
    ProtocolError,
    Reason,
    Refused,
    SignatureFailed,
)
from carnet_crypto.kinds import AccountKind, DeviceFlag
from carnet_crypto.labels import Label
from carnet_crypto.secret import identity
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.conversation import check_recipient
from carnet_crypto.secret.happenings import Rejected
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.secret.messages import open_message
from carnet_crypto.values import (
    AekSeed,
    BoxPublic,
    BoxSecret,
    EpochSecret,
    Key,
    Secret,
    Signature,
    SignPublic,
    SignSeed,
)

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493

# Every encoding of the points of low order (Bernstein's list), and their twins above the field.
LOW_X = [
    (number + more).to_bytes(32, "little")
    for number in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        FIELD - 1,
        FIELD,
        FIELD + 1,
    )
    for more in (0, 2**255)
    if number + more < 2**256
]
OTHER_X = [(9 + 2**255).to_bytes(32, "little"), (FIELD + 9).to_bytes(32, "little")]
LOW_ED = [
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    )
]


def mixed_order(public: bytes) -> list[bytes]:
    """Return a good key with a point of low order added to it."""
    return [bindings.crypto_core_ed25519_add(public, LOW_ED[at]) for at in (1, 3, 4, 6)]


def added(person: Person, keys: DeviceKeys, sign: bytes, box: bytes) -> bytes:
    """Return an entry, signed by the root, that adds a device with any keys."""
    sign, box = SignPublic(sign), BoxPublic(box)
    shown = possession_of_device(person.id, sign, box, DeviceFlag.PRIMARY, 0)
    body = AddDevice(
        device_id(sign, box), sign, box, DeviceFlag.PRIMARY, 0,
        keys.signing.sign(Label.SIGN_POSSESSION, shown), person.account.devices[person.devices[0].id].wrap or bytes(48 + 18 + 32 + 4 + 1 + 16 + 32),
    )  # fmt: skip
    account = person.account
    unsigned = unsigned_entry(
        account.id, account.number + 1, account.head, NOW, person.root.signer, body
    )
    return unsigned + person.root.signing.sign(Label.SIGN_ACCOUNT, unsigned)


def refusal(account: Account, entry: bytes) -> object:
    try:
        account.extend(entry)
    except Refused as error:
        return error.reason
    except ProtocolError as error:
        return type(error)
    return None


def test_t49_low_order_x25519() -> None:
    person, keys = Person.enrol(seeded(1)), DeviceKeys.generate(seeded(2))
    assert refusal(person.account, added(person, keys, keys.signing.public, keys.box)) is None
    assert len(LOW_X) >= 8
    for bad in (*LOW_X, *OTHER_X):
        with pytest.raises(Refused) as caught:
            admit_box_key(BoxPublic(bad))
        assert caught.value.reason is Reason.BAD_KEY
        entry = added(person, keys, keys.signing.public, bad)
        assert refusal(person.account, entry) is Reason.BAD_KEY
        root = RootKey(SignSeed(b"r" * 32))
        _, recovery = cheap_recovery(seeded(1))
        for genesis in (
            identity.genesis(
                AccountKind.PERSON, root, BoxPublic(bad), recovery.signing.public, NOW
            ),
        ):
            with pytest.raises(Refused):
                Account.begin(genesis)
    for bad in LOW_X:
        # Nothing is sealed for one, and nothing opens that was sealed with one as its ephemeral.
        with pytest.raises(OpenFailed):
            sodium.seal(b"words", BoxPublic(bad), BoxSecret(b"e" * 32))
        with pytest.raises(OpenFailed):
            keys.open(bad + bytes(64))
    # As the key of a generation: the account's own root cannot make it one.
    entry, _ = identity.rotate_aek(
        person.account, person.root, person.newest, {}, NOW, person.entropy
    )
    at = entry.index((2).to_bytes(4, "big"), 100) + 4
    for bad in LOW_X:
        body = entry[:at] + bad + entry[at + 32 : -64]
        signed = body + person.root.signing.sign(Label.SIGN_ACCOUNT, body)
        assert refusal(person.account, signed) is Reason.BAD_KEY


def test_t50_small_and_mixed_order_ed25519() -> None:
    person, keys = Person.enrol(seeded(1)), DeviceKeys.generate(seeded(2))
    bad_keys = [*LOW_ED, *mixed_order(keys.signing.public)]
    for bad in bad_keys:
        with pytest.raises(Refused) as caught:
            admit_sign_key(SignPublic(bad))
        assert caught.value.reason is Reason.BAD_KEY
        assert refusal(person.account, added(person, keys, bad, keys.box)) is Reason.BAD_KEY
        with pytest.raises(Refused):
            NoteKey("log.example", SignPublic(bad))
    for bad in LOW_ED[:4]:  # a signature that holds for every message
        with pytest.raises(SignatureFailed):
            sodium.verify(SignPublic(bad), Label.SIGN_MESSAGE, b"m", Signature(bad + bytes(32)))


def test_t51_malleated_signature() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("words"))
    signing = met.doctor.keys.signing
    true = signing.sign(Label.SIGN_MESSAGE, b"message")
    sodium.verify(signing.public, Label.SIGN_MESSAGE, b"message", true)
    scalar = int.from_bytes(true[32:], "little") + ORDER
    while scalar < 2**256:
        twin = Signature(true[:32] + scalar.to_bytes(32, "little"))
        with pytest.raises(SignatureFailed):
            sodium.verify(signing.public, Label.SIGN_MESSAGE, b"message", twin)
        scalar += ORDER
    # So a message has one id: the same words signed anew are another message under its number.
    person = met.doctor.person
    entry = person.chain[-1]
    scalar = int.from_bytes(entry[-32:], "little") + ORDER
    if scalar < 2**256:
        before = Account.replay(person.chain[:-1])
        assert refusal(before, entry[:-32] + scalar.to_bytes(32, "little")) is SignatureFailed


def test_t52_cross_protocol() -> None:
    person = Person.enrol(seeded(1))
    signing = person.devices[0].signing
    signing_labels = [label for label in Label if label.value.startswith("sig-")]
    signing_labels.append(Label.SIGN_MESSAGE)
    assert len({label.prefix for label in Label}) == len(Label)
    challenge = b"a login's challenge, chosen by the server"
    for label in signing_labels:
        signature = signing.sign(label, challenge)
        for other in signing_labels:
            if other is not label:
                with pytest.raises(SignatureFailed):
                    sodium.verify(signing.public, other, challenge, signature)
        with pytest.raises(SignatureFailed):  # nor as bytes without a label: a checkpoint
            sodium.verify_plain(signing.public, challenge, signature)
        if label is not Label.SIGN_LOGIN:
            with pytest.raises(SignatureFailed):
                verify_login(signing.public, challenge, signature)
    # No prefix begins another: what follows a label cannot make it another one.
    prefixes = [label.prefix for label in Label]
    assert not any(one != other and other.startswith(one) for one in prefixes for other in prefixes)
    # A device's signature over an entry of the root's is not the root's.
    offer = identity.offer(person.id, DeviceKeys.generate(seeded(3)), DeviceFlag.PRIMARY)
    entry = identity.add_device(person.account, person.root, offer, person.newest, NOW, seeded(3))
    for label in signing_labels:
        forged = entry[:-64] + signing.sign(label, entry[:-64])
        assert refusal(person.account, forged) is SignatureFailed


def test_t53_short_keys() -> None:
    kinds = [SignPublic, BoxPublic, SignSeed, BoxSecret, Signature, AekSeed, EpochSecret, Key]
    for kind in kinds:
        for data in (b"", b"short", bytes(kind.SIZE - 1), bytes(kind.SIZE + 1)):
            with pytest.raises(Malformed):
                kind(data)
        for other in (bytearray(kind.SIZE), memoryview(bytes(kind.SIZE)), "x" * kind.SIZE, None):
            with pytest.raises(Malformed):
                kind(other)
    for data in (b"", bytes(32), bytes(63), bytes(65)):
        with pytest.raises(Malformed):
            DeviceKeys.load(data)
    keys = DeviceKeys.generate(seeded(1))
    for box in (b"", b"x", bytes(47), bytes(48), bytes(300)):
        with pytest.raises(OpenFailed):
            keys.open(box)
    for ciphertext in (b"", bytes(15), bytes(16)):
        with pytest.raises(OpenFailed):
            sodium.decrypt(Key(bytes(32)), ciphertext, b"")


def test_t54_proof_of_possession() -> None:
    alice, mallory = Person.enrol(seeded(1)), Person.enrol(seeded(2))
    hers, own = alice.devices[0], DeviceKeys.generate(seeded(3))
    entry = added(mallory, own, hers.signing.public, hers.box)  # signed by another key
    assert refusal(mallory.account, entry) is SignatureFailed
    offered = identity.offer(alice.id, hers, DeviceFlag.PRIMARY)  # true, and for another account
    moved = identity.add_device(
        mallory.account, mallory.root, offered, mallory.newest, NOW, seeded(4)
    )
    assert refusal(mallory.account, moved) is SignatureFailed
    offered = identity.offer(mallory.id, own, DeviceFlag.PRIMARY)
    good = identity.add_device(
        mallory.account, mallory.root, offered, mallory.newest, NOW, seeded(4)
    )
    assert refusal(mallory.account, good) is None
    assert refusal(mallory.account, good.replace(own.box, hers.box)) is SignatureFailed
    # A root that is set shows that it is held as well.
    changed = identity.rotate_root(mallory.account, mallory.root, alice.root, NOW)
    stolen = changed.replace(alice.root.signing.public, hers.signing.public)
    assert refusal(mallory.account, stolen) is SignatureFailed


def test_t55_reflection() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("words"))
    met.patient.read(met.thread)
    log = met.relay.threads[met.thread]
    before = met.doctor.state()
    assert met.doctor.take(met.thread, 2, log.envelopes[0]) == []  # it is the doctor's own
    assert met.doctor.state() == before
    (shown,) = met.patient.room(met.thread).view.in_order()
    assert (shown.header.account, shown.header.device) == (met.doctor.own, met.doctor.keys.id)
    _, forged = message(
        met.patient, met.thread, Text("words"), account=met.doctor.own, claims=met.doctor.keys.id
    )
    assert met.doctor.take(met.thread, 2, forged) == [Rejected(2, None, None)]


def test_a_key_that_should_be_no_more_is_not_sealed_for() -> None:
    met = meet()
    patient = met.patient.person
    keys = patient.add_device()
    patient.extend(
        identity.revoke_device(patient.account, patient.root, keys.id, _lost(), CHECKPOINT, NOW)
    )
    met.relay.publish(patient)
    assert met.doctor.is_rotation_due(met.thread)
    with denied(met.doctor, Reason.ROTATION_DUE):
        met.doctor.rotate(met.thread)
    patient.rotate()
    met.relay.publish(patient)
    met.doctor.rotate(met.thread)
    # A device that was to end some day, and was revoked before, does not make the key old again.
    keys = patient.add_device(not_after=NOW + 1000)
    patient.revoke(keys)
    assert not patient.account.is_stale(NOW + 5000)
    check_recipient(patient.account, met.doctor.room(met.thread).view.thread.policy, NOW + 5000)
    over = DeviceKeys.generate(seeded(5))
    offered = identity.offer(patient.id, over, DeviceFlag.PRIMARY, NOW - 1)
    entry = identity.add_device(
        patient.account, patient.root, offered, patient.newest, NOW, seeded(5)
    )
    assert refusal(patient.account, entry) is Reason.EXPIRED_DEVICE


def _lost():
    from carnet_crypto.kinds import RevocationReason

    return RevocationReason.LOST


def secrets_of(person: Person) -> list[bytes]:
    return [
        person.root.secret_bytes(),
        *(keys.secret_bytes()[at : at + 32] for keys in person.devices for at in (0, 32)),
        *(aek.seed for aek in person.aeks.values()),
        *(aek.store_key for aek in person.aeks.values()),
        person.recovery.box_secret,
        person.recovery.backup_key,
    ]


def forms(secret: bytes) -> list[str]:
    """Return how bytes could show in a text."""
    from carnet_crypto.encoding import to_base64url

    secret = bytes(secret)
    return [secret.hex(), to_base64url(secret), repr(secret)[2:-1]]


def test_t71_reprs_and_errors_tell_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    met = meet()
    words = "the patient's words"
    met.patient.send(met.thread, Text(words))
    person, code = met.patient.person, cheap_recovery(seeded(1))[0]
    secrets = [*secrets_of(person), *met.patient.room(met.thread).view.secrets.values()]
    holders = [
        person.root,
        person.recovery,
        code,
        *person.devices,
        *(keys.signing for keys in person.devices),
        *person.aeks.values(),
        *met.patient.room(met.thread).view.secrets.values(),
        met.patient.room(met.thread).view,
        met.patient.contacts,
    ]
    told = [form(each) for each in holders for form in (repr, str, "{}".format, "{!r:>9}".format)]
    told += [f"{secret!s}{secret!r}{secret}" for secret in secrets if isinstance(secret, Secret)]
    envelope = met.relay.threads[met.thread].envelopes[0]
    for spoilt in (envelope[:-1], envelope[:200] + b"x" + envelope[201:], b"", envelope + b"x"):
        for secret in met.patient.room(met.thread).view.secrets.values():
            try:
                open_message(spoilt, secret, met.patient.contacts.accounts)
            except OpenFailed as error:
                assert str(error) == "cannot be opened"
                told.append("".join(traceback.format_exception(error)))
    for secret in secrets:
        for kind in (SignSeed, BoxSecret, AekSeed, Key):
            try:
                kind(bytes(secret) + b"x")
            except Malformed as error:
                told.append("".join(traceback.format_exception(error)))
    told.append(caplog.text)
    whole = "\n".join(told)
    for secret in secrets:
        assert not any(form in whole for form in forms(secret))
    assert words not in whole and code.text not in whole
