"""Reads a CDA R2 document: header, embedded content, doses and profile entries. Pure."""

from __future__ import annotations

from carnet.errors import ValidationFailed
from carnet.intake.cda.codes import code_of, templates
from carnet.intake.cda.content import read_embedded
from carnet.intake.cda.entries import Entries
from carnet.intake.cda.header import read_document, with_flag
from carnet.intake.cda.history import read_family_history, read_habits, read_procedures
from carnet.intake.cda.immunizations import read_immunizations
from carnet.intake.cda.measurements import read_measurements
from carnet.intake.cda.patient import read_patient
from carnet.intake.cda.problems import read_allergies, read_problems
from carnet.intake.cda.treatments import read_treatments
from carnet.intake.cda.xml import Element, parse
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    Flag,
    Item,
    NothingToDeclareItem,
    PatientClaim,
    Reading,
    Reason,
    Skipped,
)

FORMAT = "CDA R2"
PATIENT = "recordTarget"  # the key of the one patient
ROOT = "ClinicalDocument"

_FRAGMENTS = frozenset(
    {
        "act",
        "component",
        "encounter",
        "entry",
        "entryRelationship",
        "observation",
        "organizer",
        "patientRole",
        "procedure",
        "recordTarget",
        "section",
        "structuredBody",
        "substanceAdministration",
        "supply",
    }
)
"""Elements of CDA that examples are cut out at."""

_REIMBURSEMENTS = "1.2.250.1.213.1.1.1.36"  # CI-SIS CNAM-HR

NOT_CDA = "This XML is not a CDA document."
FRAGMENT = "A fragment of a CDA document: it does not say whose it is."
SEVERAL_PATIENTS = "The document has several patients; it is refused."
NO_PATIENT = "The document does not identify its patient."


def read(body: bytes, *, otherwise: PatientClaim | None = None) -> Reading:
    """Read a CDA document.

    A fragment, a document of several patients or of nobody is refused as one item.

    Args:
        body: the document, in any common encoding.
        otherwise: whose document it is when it identifies nobody itself; the message around it
            may know.

    Raises:
        ValidationFailed: it is not well-formed XML, holds what is refused (`cda.xml`), or is
            no CDA.
    """
    document = parse(body)
    if document.tag != ROOT:
        if document.tag in _FRAGMENTS:
            return _refused(document.tag, Reason.NO_PATIENT, FRAGMENT)
        raise ValidationFailed(NOT_CDA)
    roles = document.findall("recordTarget/patientRole")
    if len(document.findall("recordTarget")) > 1 or len(roles) > 1:
        return _refused(ROOT, Reason.MALFORMED, SEVERAL_PATIENTS)
    claim = read_patient(roles[0]) if roles else None
    if claim is None or not claim.identifiers:
        claim = otherwise
    if claim is None:
        return _refused(ROOT, Reason.NO_PATIENT, NO_PATIENT)
    try:
        items = _items(document, body)
    except ValidationFailed as problem:
        return _refused(ROOT, Reason.MALFORMED, problem.message)
    return _reading({PATIENT: claim}, items)


def _items(document: Element, body: bytes) -> list[Item]:
    embedded = read_embedded(document)
    item = read_document(document, body, PATIENT, embedded)
    entries = Entries(
        document=item.source_key,
        patient=PATIENT,
        root=document,
        is_reimbursement=_is_reimbursement(document, item),
    )
    for read_part in (
        read_immunizations,
        read_problems,
        read_allergies,
        read_treatments,
        read_procedures,
        read_family_history,
        read_habits,
        read_measurements,
    ):
        read_part(entries)
    if entries.has_unreadable_date:
        item = with_flag(item, Flag.DATE_UNREADABLE)
    problems = [
        Skipped(f"{item.source_key}#embedded/{number}", kind, Reason.MALFORMED, why)
        for number, (kind, why) in enumerate(embedded.problems, 1)
    ]
    return [item, *problems, *_consistent(entries.items)]


def _is_reimbursement(document: Element, item: DocumentItem) -> bool:
    return code_of(document.find("code")) == "REMB" or _REIMBURSEMENTS in templates(document)


def _consistent(items: list[Item]) -> list[Item]:
    """Leave out «nothing to declare» where the same document declares something."""
    declared = {item.section for item in items if isinstance(item, EntryItem)}
    return [
        item
        for item in items
        if not (isinstance(item, NothingToDeclareItem) and item.section in declared)
    ]


def _refused(kind: str, reason: Reason, message: str) -> Reading:
    return _reading({}, [Skipped(kind, kind, reason, message, is_refused=True)])


def _reading(patients: dict[str, PatientClaim], items: list[Item]) -> Reading:
    return Reading(format=FORMAT, patients=patients, items=tuple(items))
