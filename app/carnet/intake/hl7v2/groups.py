"""Documents within an MDM or ORU message: what belongs to each, and what is to be done with it.

An MDM message is about one document; an ORU message may hold several, each after its OBR. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from carnet.intake.cda.codes import is_oid, is_uuid
from carnet.intake.hl7v2.message import Message, Repetition, Segment

ID_LIMIT = 300  # characters

_DELETED = frozenset({"D", "W"})  # OBX-11: delete; posted as wrong
_CANCELLED = frozenset({"CA", "OC", "CR"})  # ORC-1
_REPLACED = frozenset({"RO", "RP", "XO"})

MASKED = "MASQUE_PS"
HIDDEN_FROM_HOLDER = "INVISIBLE_PATIENT"
HIDDEN_FROM_REPRESENTATIVES = "INVISIBLE_REP_LEGAUX"
_VISIBILITY = {
    MASKED: MASKED,
    HIDDEN_FROM_HOLDER: HIDDEN_FROM_HOLDER,
    HIDDEN_FROM_REPRESENTATIVES: HIDDEN_FROM_REPRESENTATIVES,
    "INVISIBLE_REPRESENTANTS_LEGAUX": HIDDEN_FROM_REPRESENTATIVES,
}
_DMP = "MetaDMPMSS"  # the code system of flags for the DMP and for secure mail
_MAIL = ("CORPSMAIL_PS", "CORPSMAIL_PATIENT")


@dataclass(slots=True)
class Group:
    """The segments about one document or report."""

    event: str  # MSH-9.2
    pid: Segment | None
    order: Segment | None = None  # ORC
    document: Segment | None = None  # TXA
    has_request: bool = False  # an OBR was seen
    payloads: list[Segment] = field(default_factory=list)  # OBX that carry data or point to it
    visibility: dict[str, bool] = field(default_factory=dict)
    transport: list[Segment] = field(default_factory=list)  # OBX for the DMP and secure mail
    results: int = 0  # how many other OBX

    @property
    def unique_id(self) -> str | None:
        """The document's identifier (TXA-12)."""
        return entity_id(self.document.first(12)) if self.document else None

    @property
    def parent_id(self) -> str | None:
        """The document it is about to replace (TXA-13)."""
        return entity_id(self.document.first(13)) if self.document else None

    def is_replacement(self, payload: Segment) -> bool:
        """Tell whether the sender says that this document replaces the parent document."""
        state = payload.text(11).upper()
        return self.event == "T10" or state == "C" or self._order in _REPLACED

    def is_deletion(self, payload: Segment | None) -> bool:
        """Tell whether the sender takes a document back."""
        state = payload.text(11).upper() if payload is not None else ""
        is_cancelled = self.event == "T04" and self._order in _CANCELLED
        return self.event == "T11" or state in _DELETED or is_cancelled

    @property
    def _order(self) -> str:
        return self.order.text(1).upper() if self.order else ""


def groups_of(message: Message) -> Iterator[Group]:
    """Yield the groups of a message, the one before any request too when it has something."""
    code, event = message.kind
    group = Group(event, None)
    for segment in message.segments:
        begins = segment.name == "OBR" and group.has_request
        begins = begins or (segment.name == "ORC" and (group.has_request or bool(group.payloads)))
        if (begins and code != "MDM") or (segment.name == "PID" and group.pid is not None):
            yield group
            group = Group(event, group.pid)
        _add(group, segment)
    yield group


def _add(group: Group, segment: Segment) -> None:
    match segment.name:
        case "PID":
            group.pid = segment
        case "ORC":
            group.order = segment
        case "OBR":
            group.has_request = True
        case "TXA":
            group.document = group.document or segment
        case "OBX":
            _add_observation(group, segment)


def _add_observation(group: Group, segment: Segment) -> None:
    code, system = segment.text(3), segment.text(3, 3)
    name = _VISIBILITY.get(code)
    if name is not None:
        answer = segment.text(5).upper()
        if answer in ("Y", "N"):
            group.visibility[name] = answer == "Y"
    elif system == _DMP or code in _MAIL:
        group.transport.append(segment)
    elif segment.text(2).upper() in ("ED", "RP"):
        group.payloads.append(segment)
    else:
        group.results += 1


def entity_id(identifier: Repetition) -> str | None:
    """Return an entity identifier (EI) as CDA and XDS write it: ``root`` or ``root^extension``.

    A number that is no OID is unique only with its authority, so that follows it.
    """
    value, space, root = (identifier.text(part) for part in (1, 2, 3))
    if not value or len(value) > ID_LIMIT:
        return None
    if is_oid(root):
        return f"{root}^{value}"
    bare = value.partition("^")[0]
    if is_oid(bare) or is_uuid(bare) or not space:
        return value
    return f"{value}^{space}"[:ID_LIMIT]
