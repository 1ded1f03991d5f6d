"""Reads HL7 v2: documents in MDM and ORU messages, persons in ADT messages. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from carnet.intake.hl7v2.documents import NotTaken, carried, open_document, unique_id_of
from carnet.intake.hl7v2.groups import Group, groups_of
from carnet.intake.hl7v2.message import Message, Segment, parse
from carnet.intake.hl7v2.patient import read_patient
from carnet.intake.model import (
    Item,
    PatientClaim,
    PatientItem,
    Reading,
    Reason,
    Skipped,
    WithdrawalItem,
)

FORMAT = "HL7 v2"
DOCUMENTS_LIMIT = 1_000  # documents in one body; each is parsed on its own

_ADMISSIONS = frozenset(
    {"A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A10", "A28", "A31"}
)
"""Events that tell who a patient is; merges and cancellations are not among them."""

RESULTS = "Single results are not taken from messages; the report that comes with them is."
ADMINISTRATIVE = "It is for the transport only."
CONSENT = "Consent is not taken from admissions."
NOT_TAKEN = "Messages of this kind are not taken."
NO_PATIENT = "The message does not identify its patient."
NO_CONTENT = "The message brings no document."
TOO_MANY = f"A body brings at most {DOCUMENTS_LIMIT} documents; send the others in another one."
NO_DOCUMENT_ID = "The message does not say which document is meant."


def read(body: bytes) -> Reading:
    """Read one or more messages; what one of them lacks does not touch the others.

    Raises:
        ValidationFailed: the body does not begin as HL7 v2, or has too many segments or messages.
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
    documents: int = 0  # seen so far
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
        for number, segment in enumerate(group.transport, 1):
            key, kind = f"{place}/OBX-{number}", f"OBX {segment.text(3)[:40]}".strip()
            self._skip(key, kind, Reason.ADMINISTRATIVE, ADMINISTRATIVE)
        if group.results:
            self._skip(f"{place}/OBX", "OBX", Reason.NOT_SUPPORTED, RESULTS)

    def _documents(self, group: Group, place: str, patient: str) -> None:
        """Add the documents of a group; the first of them is the one that its TXA is about."""
        unique_id = group.unique_id
        segments: list[Segment | None] = [*group.payloads] or [None]
        for number, segment in enumerate(segments, 1):
            key = f"{place}/{number}"
            kind = f"OBX {segment.text(3)[:40]}".strip() if segment else "TXA"
            try:
                self.documents += 1
                if self.documents > DOCUMENTS_LIMIT:
                    raise NotTaken(Reason.MALFORMED, TOO_MANY)
                if group.is_deletion(segment):
                    target = self._deleted(segment, patient, unique_id)
                    self.items.append(WithdrawalItem(f"{self.prefix}/{key}", patient, target))
                elif segment is None:
                    raise NotTaken(Reason.NOT_SUPPORTED, NO_CONTENT)
                else:
                    reading = open_document(segment, self.patients[patient])
                    self.items.extend(carried(reading, group, segment, patient, unique_id))
            except NotTaken as why:
                self._skip(key, kind, why.reason, why.message, why.is_refused)
            else:
                unique_id = None

    def _deleted(self, segment: Segment | None, patient: str, unique_id: str | None) -> str:
        """Return the document that is taken back.

        The one that comes along says so where the message does not; it has to be the same
        patient's, and need not be readable.
        """
        own = None
        if segment is not None:
            try:
                own = unique_id_of(open_document(segment, self.patients[patient]))
            except NotTaken as why:
                if why.reason is Reason.IDENTITY_CONFLICT:
                    raise
        target = unique_id or own
        if target is None:
            raise NotTaken(Reason.MALFORMED, NO_DOCUMENT_ID)
        return target
