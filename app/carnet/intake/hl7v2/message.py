"""HL7 v2 messages in ER7 («pipes and hats») cut into segments, fields and components. Pure.

Tolerant of what is met in the field: LF or CRLF between segments, MLLP framing, batches, a
segment broken over lines, a charset that is not the one declared. Work is bounded by limits on
segments and on the parts of a field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from carnet.errors import ValidationFailed

SEGMENTS_LIMIT = 200_000  # in one body; a day's batch of a big laboratory
MESSAGES_LIMIT = 10_000  # in one body
FIELDS_LIMIT = 60  # of a segment; the longest standard one (PV1) has 54
REPETITIONS_LIMIT = 50
COMPONENTS_LIMIT = 30

_FRAMING = b"\x0b\x1c\r\n \t\x00"
_LINE_ENDS = "\r\x0b\x1c"  # besides \n
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}", re.ASCII)
_ESCAPES = r"(\.br|X(?:[0-9A-Fa-f]{2}){1,200}|[FSTREHN]|\.[a-z]{2}[+-]?\d{0,3})"
_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])

_CHARSETS = {
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "8859/1": "iso-8859-1",
    "8859/15": "iso-8859-15",
    "ISO-8859-1": "iso-8859-1",
    "ISO-8859-15": "iso-8859-15",
    "WINDOWS-1252": "windows-1252",
    "ASCII": "utf-8",
    "": "utf-8",
}
"""HL7 table 0211, and names that are sent instead."""


@dataclass(frozen=True, slots=True)
class Separators:
    """The characters that cut a message, as its MSH declares them."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a field; ``raw`` is still escaped and out of reprs."""

    raw: str = field(repr=False)
    separators: Separators = field(repr=False)

    @property
    def text(self) -> str:
        """The unescaped text."""
        return unescape(self.raw, self.separators).translate(_CONTROLS).strip()

    def sub(self, number: int) -> str:
        """Return a subcomponent, unescaped; the first is 1."""
        parts = self.raw.split(self.separators.subcomponent, COMPONENTS_LIMIT)
        raw = parts[number - 1] if number <= len(parts) else ""
        return Component(raw, self.separators).text


@dataclass(frozen=True, slots=True)
class Repetition:
    """One repetition of a field."""

    components: tuple[Component, ...] = field(repr=False)
    separators: Separators = field(repr=False)

    def __getitem__(self, number: int) -> Component:
        """Return a component; the first is 1, and one that is not there is empty."""
        if number <= len(self.components):
            return self.components[number - 1]
        return Component("", self.separators)

    def text(self, number: int) -> str:
        """Return the text of a component."""
        return self[number].text


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; its fields are cut further when they are asked for."""

    name: str
    fields: tuple[str, ...] = field(repr=False)
    separators: Separators = field(repr=False)

    def raw(self, number: int) -> str:
        """Return a field as it came; in MSH, field 1 is the separator itself."""
        if self.name == "MSH":
            if number == 1:
                return self.separators.field
            number -= 1
        return self.fields[number] if 0 <= number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[Repetition]:
        """Return the repetitions of a field that are not empty."""
        cut = self.separators
        found = []
        for raw in self.raw(number).split(cut.repetition, REPETITIONS_LIMIT)[:REPETITIONS_LIMIT]:
            if raw and raw != '""':  # HL7's explicit null
                parts = raw.split(cut.component, COMPONENTS_LIMIT)
                found.append(Repetition(tuple(Component(part, cut) for part in parts), cut))
        return found

    def first(self, number: int) -> Repetition:
        """Return the first repetition of a field; an empty one when there is none."""
        found = self.repetitions(number)
        return found[0] if found else Repetition((), self.separators)

    def text(self, number: int, component: int = 1) -> str:
        """Return the text of a component of a field's first repetition."""
        return self.first(number).text(component)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its MSH first, then its segments in order."""

    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        """The MSH segment."""
        return self.segments[0]

    @property
    def kind(self) -> tuple[str, str]:
        """Message code and trigger event, such as ``("MDM", "T02")``."""
        return self.header.text(9, 1).upper(), self.header.text(9, 2).upper()

    def find(self, name: str) -> Segment | None:
        """Return the first segment of a name."""
        return next((segment for segment in self.segments if segment.name == name), None)


def parse(body: bytes) -> list[Message]:
    """Cut a body into its messages; batch headers and trailers are left out.

    Raises:
        ValidationFailed: it does not begin as HL7 v2, or has too many segments or messages.
    """
    start = body.lstrip(_FRAMING).removeprefix(b"\xef\xbb\xbf")
    if not start.startswith((b"MSH", b"FHS", b"BHS")):
        raise ValidationFailed("This is no HL7 v2 message: it does not begin with MSH.")
    if start.count(b"\r") + start.count(b"\n") > SEGMENTS_LIMIT:
        raise ValidationFailed(f"The message has more than {SEGMENTS_LIMIT} segments.")
    messages: list[list[Segment]] = []
    separators = Separators()
    for line in _lines(_decode(start)):
        name = line[:3]
        if name == "MSH":
            separators = _separators(line)
            messages.append([])
        if messages and name not in ("FHS", "BHS", "BTS", "FTS"):
            fields = tuple(line.split(separators.field, FIELDS_LIMIT))
            messages[-1].append(Segment(name, fields, separators))
    if len(messages) > MESSAGES_LIMIT:
        raise ValidationFailed(f"The batch has more than {MESSAGES_LIMIT} messages.")
    if not messages:
        raise ValidationFailed("This HL7 v2 batch has no message.")
    return [Message(tuple(segments)) for segments in messages]


def unescape(text: str, separators: Separators) -> str:
    """Replace HL7's escape sequences; those for highlighting and layout become nothing."""
    if separators.escape not in text:
        return text
    mark = re.escape(separators.escape)
    plain = {
        "F": separators.field,
        "S": separators.component,
        "T": separators.subcomponent,
        "R": separators.repetition,
        "E": separators.escape,
        ".br": "\n",
    }

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name.startswith("X"):
            return _text(bytes.fromhex(name[1:]), "utf-8")
        return plain.get(name, "")

    return re.sub(f"{mark}{_ESCAPES}{mark}", replace, text)


def _lines(text: str) -> list[str]:
    """Return the segments; a line that begins none belongs to the one before it."""
    cut = text[3:4]
    lines: list[list[str]] = []
    for end in _LINE_ENDS:  # an expression that finds them all is ten times slower
        text = text.replace(end, "\n")
    for line in text.split("\n"):
        begins = line.lstrip()
        if _NAME.match(begins) is not None and begins[3:4] in ("", cut, "|"):
            lines.append([begins])
        elif begins and lines:
            lines[-1].append(line)
    return [parts[0] if len(parts) == 1 else "\n".join(parts) for parts in lines]


def _separators(line: str) -> Separators:
    """Return the separators that an MSH declares, or the usual ones where it lacks any."""
    cut = line[3:4]
    marks = line[4:].split(cut, 1)[0] if cut else ""
    declared = [mark for mark in marks[:4] if not mark.isalnum() and not mark.isspace()]
    if not cut or cut.isalnum() or cut.isspace() or len({cut, *declared}) != 1 + len(declared):
        return Separators()
    usual = ["^", "~", "\\", "&"]
    component, repetition, escape, subcomponent = declared + usual[len(declared) :]
    return Separators(cut, component, repetition, escape, subcomponent)


def _decode(body: bytes) -> str:
    """Decode by MSH-18, or else by what the bytes are."""
    line = re.split(rb"[\r\n]", body[body.find(b"MSH") :][:4096], maxsplit=1)[0]
    fields = line.split(line[3:4]) if len(line) > 3 else []
    declared = fields[17].split(b"~")[0] if len(fields) > 17 else b""
    name = declared.decode("ascii", "replace").strip().upper()
    return _text(body, _CHARSETS.get(name, "utf-8"))


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")
