"""Reads HL7 v2: documents in MDM and ORU messages, persons in ADT messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from carnet.errors import ValidationFailed
from carnet.intake import cda
from carnet.intake.hl7v2 import groups
from carnet.intake.hl7v2.groups import Group, groups_of
from carnet.intake.hl7v2.message import Message, Segment, parse
from carnet.intake.hl7v2.patient import is_same_patient, read_patient
from carnet.intake.hl7v2.payload import read_payload
from carnet.intake.model import (
    DocumentItem,
    Flag,
    Item,
    PatientClaim,
    PatientItem,
    Reading,
    Reason,
    Skipped,
    WithdrawalItem,
)

FORMAT = "HL7 v2"

_ADMISSIONS = frozenset(
    {"A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A10", "A28", "A31"}
)
"""Events that tell who a patient is; merges and cancellations are not among them."""

NOT_CDA = "Only CDA documents are taken out of messages."
REFERENCE = "It only refers to its content, which is never fetched."
RESULT = "Single results are not taken from messages; the report that follows them is."
ADMINISTRATIVE = "It is for the transport only."
CONSENT = "Consent is not taken from admissions."
NO_PATIENT = "The message does not identify its patient."
OTHER_PATIENT = "The message and its document are about different patients."
NO_DOCUMENT_ID = "The message does not say which document is meant."


def read(body: bytes) -> Reading:
    """Read one or more messages; what one of them lacks does not touch the others.

    Raises:
        ValidationFailed: the body does not begin as HL7 v2, or has too many segments.
    """
    reader = _Reader()
    for number, message in enumerate(parse(body), 1):
        reader.read(message, number)
    return Reading(format=FORMAT, patients=reader.patients, items=tuple(reader.items))


@dataclass(slots=True)
class _Reader:
    patients: dict[str, PatientClaim] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    keys: dict[PatientClaim, str] = field(default_factory=dict)
    prefix: str = ""  # of the message that is read: its place in the body and its control id

    def read(self, message: Message, number: int) -> None:
        self.prefix = f"{number}/{message.header.text(10)[:100]}"
        code, event = message.kind
        if code in ("MDM", "ORU"):
            for place, group in enumerate(groups_of(message), 1):
                self._group(group, str(place))
        elif code == "ADT" and event in _ADMISSIONS:
            self._admission(message)
        else:
            kind = "^".join(filter(None, (code[:20], event[:20]))) or "MSH"
            self._skip("MSH", kind, Reason.NOT_SUPPORTED, NOT_TAKEN)

    def _skip(
        self, key: str, kind: str, reason: Reason, message: str, is_refused: bool = False
    ) -> None:
        self.items.append(Skipped(f"{self.prefix}/{key}", kind, reason, message, is_refused))

    def _refuse(self, key: str, kind: str, reason: Reason, message: str) -> None:
        self._skip(key, kind, reason, message, is_refused=True)

    def _patient(self, pid: Segment | None) -> str | None:
        """Return the key of a message's patient, or None when nothing identifies them."""
        claim = read_patient(pid) if pid is not None else None
        if claim is None or not claim.identifiers:
            return None
        key = self.keys.setdefault(claim, f"PID-{len(self.keys) + 1}")
        self.patients[key] = claim
        return key

    def _admission(self, message: Message) -> None:
        patient = self._patient(message.find("PID"))
        if patient is None:
            self._refuse("PID", "PID", Reason.NO_PATIENT, NO_PATIENT)
        else:
            self.items.append(PatientItem(f"{self.prefix}/PID", patient))
        if message.find("ZFA") is not None:
            self._skip("ZFA", "ZFA", Reason.NOT_SUPPORTED, CONSENT)

    def _group(self, group: Group, place: str) -> None:
        if group.payloads or group.document is not None:
            patient = self._patient(group.pid)
            if patient is None:
                self._refuse(f"{place}/PID", "PID", Reason.NO_PATIENT, NO_PATIENT)
            else:
                self._documents(group, place, patient)
        for number, (segment, is_administrative) in enumerate(group.others, 1):
            key, kind = f"{place}/OBX-{number}", f"OBX {segment.text(3)[:40]}".strip()
            if is_administrative:
                self._skip(key, kind, Reason.ADMINISTRATIVE, ADMINISTRATIVE)
            else:
                self._skip(key, kind, Reason.NOT_SUPPORTED, RESULT)

    def _documents(self, group: Group, place: str, patient: str) -> None:
        """Add the documents of a group; the first of them is the one that its TXA is about."""
        is_first = True
        for number, segment in enumerate(group.payloads or [None], 1):
            place_here = f"{place}/{number}"
            unique_id = group.unique_id if is_first else None
            if segment is None or group.is_deletion(segment):
                self._deletion(group, place_here, patient, segment, unique_id)
                is_first = False
            elif (reading := self._cda(segment, place_here, patient)) is not None:
                self.items.extend(_carried(reading, group, patient, unique_id))
                is_first = False

    def _cda(self, segment: Segment, key: str, patient: str) -> Reading | None:
        """Read the CDA document in an OBX, or add why it is not taken."""
        kind = f"OBX {segment.text(3)[:40]}".strip()
        if segment.text(2).upper() != "ED":
            self._skip(key, kind, Reason.NOT_SUPPORTED, REFERENCE)
            return None
        try:
            payload = read_payload(segment)
            if not payload.is_xml:
                self._skip(key, kind, Reason.NOT_SUPPORTED, NOT_CDA)
                return None
            claim = self.patients[patient]
            reading = cda.read(payload.data, otherwise=claim)
        except ValidationFailed as problem:
            self._refuse(key, kind, Reason.MALFORMED, problem.message)
            return None
        if not any(isinstance(item, DocumentItem) for item in reading.items):
            for item in reading.items:
                if isinstance(item, Skipped):
                    self._refuse(key, kind, item.reason, item.message)
            return None
        if not all(is_same_patient(claim, other) for other in reading.patients.values()):
            self._refuse(key, kind, Reason.IDENTITY_CONFLICT, OTHER_PATIENT)
            return None
        return _flagged(reading) if payload.was_repaired else reading

    def _deletion(
        self, group: Group, key: str, patient: str, segment: Segment | None, unique_id: str | None
    ) -> None:
        """Add a withdrawal; the document that comes with it only has to be the same patient's."""
        if segment is None and not group.is_deletion(None):
            self._skip(key, "TXA", Reason.NOT_SUPPORTED, NO_CONTENT)
            return
        before = len(self.items)
        carries = segment is not None and segment.text(2).upper() == "ED"
        reading = self._cda(segment, key, patient) if segment is not None and carries else None
        problems = self.items[before:]
        del self.items[before:]
        conflicts = [p for p in problems if getattr(p, "reason", None) is Reason.IDENTITY_CONFLICT]
        if conflicts:
            self.items.extend(conflicts)
            return
        own = next((i for i in reading.items if isinstance(i, DocumentItem)), None) if reading else None
        target = unique_id or (own.unique_id if own else None)
        if target is None:
            self._refuse(key, "TXA", Reason.MALFORMED, NO_DOCUMENT_ID)
        else:
            self.items.append(WithdrawalItem(f"{self.prefix}/{key}", patient, target))
