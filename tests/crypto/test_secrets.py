"""What is kept to itself, and what is never made because nobody would take it."""

from __future__ import annotations

import logging

import pytest
from correspondents import CHECKPOINT, NOW, Person, cheap_recovery, open_thread, seeded

from carnet_crypto import sodium, values
from carnet_crypto.errors import Malformed, OpenFailed, Reason, Refused
from carnet_crypto.kinds import DeviceFlag
from carnet_crypto.secret import content, recovery
from carnet_crypto.secret.attachments import FileFacts, Sealer
from carnet_crypto.secret.happenings import Edited
from carnet_crypto.secret.keys import DeviceKeys
from carnet_crypto.secret.messages import seal
from carnet_crypto.secret.pairing import NewDevice, OldDevice
from carnet_crypto.values import AccountId, Digest, MessageId

SECRETS = [kind for kind in values.Secret.__subclasses__()]
MESSAGE = MessageId(b"\x01" * 32)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_shows_nothing_of_itself(kind: type[values.Secret]) -> None:
    secret = kind(b"secret bytes of it..............")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret:>60}", f"{secret!s}"]
    shown += ["%s %r" % (secret, secret), repr([secret]), repr({"key": secret})]  # noqa: UP031
    record = logging.LogRecord("x", 20, "x", 1, "%s", (secret,), None)
    for text in (*shown, record.getMessage()):
        assert "secret bytes" not in text and secret.hex()[:8] not in text
    with pytest.raises(Malformed) as refused:
        kind(secret + b"more")
    assert "secret" not in str(refused.value)


def test_keys_show_nothing_of_themselves() -> None:
    person = Person.enrol(seeded(31))
    code, keys = cheap_recovery(person.entropy)
    device = person.devices[0]
    held = [device.secret_bytes()[:32], device.secret_bytes()[32:], person.root.secret_bytes()]
    held += [person.aeks[1].seed, code.bits, keys.box_secret, keys.backup_key]
    for thing in (device, person.root, person.aeks[1], code, keys, device.signing):
        shown = f"{thing!r} {thing!s}"
        for secret in held:
            assert secret.hex()[:8] not in shown and repr(bytes(secret)) not in shown
        assert code.text not in shown


def test_no_repr_shows_what_people_wrote() -> None:
    sealer = Sealer(0, seeded(32))
    _, manifest = sealer.finish(FileFacts("Nathalie.pdf", "application/pdf", NOW))
    said = [
        content.Text("Nathalie"),
        content.Attachments("Nathalie", (manifest,)),
        content.Acknowledgement(MESSAGE, content.Verdict.AGREED, "Nathalie"),
        content.Edit(MESSAGE, "Nathalie"),
        content.System(content.SystemCode.HANDOVER, AccountId.zero(), "Nathalie"),
        Edited(MESSAGE, "Nathalie", MESSAGE),
        FileFacts("Nathalie.pdf", "application/pdf", NOW),
        manifest,
    ]
    for each in said:
        assert "Nathalie" not in repr(each)
        assert manifest.key.hex()[:8] not in repr(each)


@pytest.mark.parametrize(
    "said",
    [
        content.Text("x" * (content.MOST_TEXT + 1)),
        content.Edit(MESSAGE, "x" * (content.MOST_TEXT + 1)),
        content.Acknowledgement(MESSAGE, content.Verdict.AGREED, "x" * (content.MOST_NOTE + 1)),
        content.Attachments("no file", ()),
        content.Receipt(tuple(content.Seen(values.DeviceId(b"x" * 16), n) for n in range(513))),
        content.Text("a\x00b"),
        content.Text("\ud800"),
    ],
)
def test_nothing_is_sealed_that_nobody_would_read(said: content.Content) -> None:
    doctor, patient = Person.enrol(seeded(33)), Person.enrol(seeded(34))
    _, views = open_thread(doctor, patient)
    view = views[doctor.id]
    draft = view.draft(doctor.devices[0].id, said, CHECKPOINT, NOW)
    with pytest.raises(Malformed):
        seal(draft, view.secrets[1], doctor.devices[0], doctor.entropy)


def test_an_accent_is_the_same_however_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def stretched(passphrase: bytes, salt: bytes, *, passes: int, memory_kib: int) -> values.Key:
        taken.append(passphrase)
        return values.Key(bytes(32))

    monkeypatch.setattr(sodium, "argon2id", stretched)
    code, _ = recovery.RecoveryCode(b"twenty bytes of code"), None
    how = recovery.Stretching.default(seeded(35))
    for typed in ("é", "e\u0301"):
        recovery.stretch(code, typed, how)
    assert taken == [b"\xc3\xa9"] * 2
    with pytest.raises(Malformed):
        recovery.stretch(code, "\ud800", how)


def test_a_memory_that_is_not_there_is_one_of_our_errors() -> None:
    with pytest.raises(OpenFailed):
        sodium.argon2id(b"", bytes(16), passes=3, memory_kib=1)


def test_pairing_locks_for_both_ways_of_comparing() -> None:
    person = Person.enrol(seeded(36))
    old = OldDevice(person.account, person.entropy)
    new = NewDevice(DeviceKeys.generate(person.entropy), DeviceFlag.PRIMARY, person.entropy)
    for _ in range(3):
        old.refuse()
    for attempt in (lambda: old.scan(new.show()), lambda: old.reply(new.commit())):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason is Reason.LOCKED
    assert Digest.SIZE == 32
