"""A story with everything in it, whose words, names and keys are nowhere but with its members."""

from __future__ import annotations

from correspondents import Person
from honest_client import Meeting

from carnet_crypto.secret.content import (
    Acknowledgement,
    Attachments,
    Edit,
    Receipt,
    Retraction,
    RetractionReason,
    Seen,
    Text,
    Verdict,
)

WORDS = "canary-words-of-the-first-message"
EDITED = "canary-other-words-after-an-edit"
NOTE = "canary-note-of-an-acknowledgement"
NAME = "canary-name-of-a-file.pdf"
FILE = b"canary-content-of-a-file " * 4000


def tell(met: Meeting) -> dict[str, bytes | str]:
    """Let three people write, send, edit, join, go, revoke and rotate; return what is secret."""
    doctor, patient, nurse, thread = met.doctor, met.patient, met.nurse, met.thread
    doctor.send(thread, Text(WORDS))
    (shown,) = patient.read(thread)
    patient.send(thread, Receipt((Seen(doctor.keys.id, 1),)))
    manifest = patient.upload(FILE, NAME)
    patient.send(thread, Attachments("canary-words-with-a-file", (manifest,)))
    doctor.send(thread, Acknowledgement(shown.id, Verdict.AGREED, NOTE))
    doctor.send(thread, Edit(shown.id, EDITED))
    doctor.add(thread, nurse.own, 1)
    nurse.read(thread)
    nurse.send(thread, Text("canary-words-of-the-nurse"))
    doctor.read(thread)
    doctor.remove(thread, nurse.own)
    doctor.send(thread, Retraction(shown.id, RetractionReason.MISTAKE))
    patient.person.rotate()
    met.relay.publish(patient.person)
    doctor.send(thread, Text("canary-words-of-the-end"))
    met.relay.erase(thread, 1)
    patient.read(thread)
    needles: dict[str, bytes | str] = {
        "words": WORDS,
        "edit": EDITED,
        "note": NOTE,
        "name": NAME,
        "file": FILE[:25],
        "all words": "canary-words",
        "file key": bytes(manifest.key),
    }
    for client in met.clients:
        needles |= _keys(client.person)
        for number, secret in client.room(thread).view.secrets.items():
            needles[f"epoch {number} of {client.own!r}"] = bytes(secret)
    return needles


def _keys(person: Person) -> dict[str, bytes | str]:
    name = repr(person.id)
    found: dict[str, bytes | str] = {f"root of {name}": person.root.secret_bytes()}
    for keys in person.devices:
        found[f"signing key of {keys.id!r}"] = keys.secret_bytes()[:32]
        found[f"box key of {keys.id!r}"] = keys.secret_bytes()[32:]
    for number, aek in person.aeks.items():
        found[f"AEK {number} of {name}"] = bytes(aek.seed)
        found[f"store key {number} of {name}"] = bytes(aek.store_key)
    found["recovery box key"] = bytes(person.recovery.box_secret)
    found["recovery backup key"] = bytes(person.recovery.backup_key)
    return found
