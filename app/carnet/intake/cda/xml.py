"""Turns the bytes of a CDA document into a tree that is safe to walk. Pure.

Refused before a tree is built: a DOCTYPE (so there are no entities, and nothing is ever fetched),
encodings other than the common ones, and more markup than a real document has. libxml2's own
limit on text nodes has to be lifted for embedded content, which is safe only because of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol, cast
from xml.parsers import expat

from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types; see Element

from carnet.errors import ValidationFailed

NAMESPACE = "urn:hl7-org:v3"
SDTC = "{urn:hl7-org:sdtc}"  # HL7's own additions to CDA

MARKUP_LIMIT = 500_000  # «<» and «=»: bounds elements and attributes; a big report has 10,000
DEPTH_LIMIT = 200  # elements within elements; a deeply nested report has 40
WHITE_SPACE = b" \t\r\n"

_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.-]{1,40})[\"']", re.ASCII)
_SINGLE_BYTE = {
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "windows-1252",
    "cp1252": "windows-1252",
}
_UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
_UTF_16 = ("utf-16", "utf-16le", "utf-16be", "unicode")


class Element(Protocol):
    """What is used of an lxml element."""

    tag: str
    text: str | None

    def get(self, key: str) -> str | None:
        """Return an attribute."""

    def find(self, path: str) -> Element | None:
        """Return the first element at a path."""

    def findall(self, path: str) -> list[Element]:
        """Return all elements at a path."""

    def iter(self, *tags: str) -> Iterator[Element]:
        """Yield the element and all below it, in the order of the document."""

    def iterancestors(self, *tags: str) -> Iterator[Element]:
        """Yield the elements around it, the nearest first."""

    def itertext(self) -> Iterator[str]:
        """Yield all texts within it."""

    def __iter__(self) -> Iterator[Element]:
        """Yield its children."""


def parse(body: bytes) -> Element:
    """Parse a document.

    Names of HL7's namespace come without it (``recordTarget``); names of other namespaces keep
    theirs. Comments and processing instructions are left out.

    Raises:
        ValidationFailed: it is not well-formed, or it is something that is refused (see above).
    """
    text = _as_utf8(body)
    if text.count(b"<") + text.count(b"=") > MARKUP_LIMIT:
        raise ValidationFailed("The XML has too many elements.")
    _check_prolog(text)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(error.lineno) from None
    _simplify(root)
    return cast(Element, root)


def _as_utf8(body: bytes) -> bytes:
    """Return the document in UTF-8, whatever its encoding declaration says after that."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _transcode(body, "utf-16")
    if body.startswith((b"<\x00", b"\x00<")):
        return _transcode(body, "utf-16-le" if body.startswith(b"<") else "utf-16-be")
    if body.startswith(b"\xef\xbb\xbf"):
        return body[3:].lstrip(WHITE_SPACE)
    body = body.lstrip(WHITE_SPACE)
    declared = _ENCODING.match(body)
    encoding = declared[1].decode("ascii").lower() if declared else "utf-8"
    if encoding in _SINGLE_BYTE:
        return _transcode(body, _SINGLE_BYTE[encoding])
    if encoding in _UTF_8 or encoding in _UTF_16:  # .NET declares UTF-16 whatever it then writes
        return body
    raise ValidationFailed("The XML is in an encoding that is not read here; use UTF-8.")


def _transcode(body: bytes, encoding: str) -> bytes:
    try:
        return body.decode(encoding).encode("utf-8").lstrip(WHITE_SPACE)
    except UnicodeError:
        raise ValidationFailed("The XML is not in the encoding that it says.") from None


class _RootReached(Exception):
    """Stops the scan of the prolog: no DOCTYPE may stand behind the first element."""


def _check_prolog(text: bytes) -> None:
    """Refuse a DOCTYPE before libxml2 sees it: it would expand entities in attributes."""

    def refuse(*_: object) -> None:
        raise ValidationFailed("XML with a DOCTYPE is refused.")

    def stop(*_: object) -> None:
        raise _RootReached

    scanner = expat.ParserCreate("utf-8")
    scanner.StartDoctypeDeclHandler = refuse
    scanner.StartElementHandler = stop
    try:
        scanner.Parse(text, True)
    except _RootReached:
        return
    except expat.ExpatError as error:
        raise _malformed(error.lineno) from None
    raise _malformed(1)


def _simplify(root: object) -> None:
    """Check the depth, and take HL7's namespace off the names."""
    prefix = f"{{{NAMESPACE}}}"
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth += 1
        if depth > DEPTH_LIMIT:
            raise ValidationFailed("The XML is nested too deeply.")
        if element.tag.startswith(prefix):
            element.tag = element.tag[len(prefix) :]


def _malformed(line: int | None) -> ValidationFailed:
    return ValidationFailed(f"The XML is not well-formed (line {line or 1}).")
