"""What XML is refused, how fast, and in which encodings it is read."""

from __future__ import annotations

import time
from base64 import b64encode

import pytest
from bodies import cda, flat, structured

from carnet.errors import ValidationFailed
from carnet.intake.cda import read
from carnet.intake.cda.xml import DEPTH_LIMIT, MARKUP_LIMIT, parse
from carnet.intake.model import DocumentItem, Reason, Skipped

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BILLION_LAUGHS = f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>'


def refused(body: bytes) -> str:
    """Return why a body is refused; it takes no time to see."""
    start = time.process_time()
    with pytest.raises(ValidationFailed) as caught:
        read(body)
    assert time.process_time() - start < 2
    return caught.value.message


class TestRefused:
    @pytest.mark.parametrize(
        "body",
        [
            f"{BILLION_LAUGHS}<ClinicalDocument>&l11;</ClinicalDocument>",
            f"{BILLION_LAUGHS}<ClinicalDocument a='&l11;'/>",
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ClinicalDocument>&e;</ClinicalDocument>',
            '<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:9/e">]><ClinicalDocument>&e;</ClinicalDocument>',
            '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><ClinicalDocument/>',
            '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p">%p;]><ClinicalDocument/>',
            "<?xml version='1.0'?><!-- c --><?pi?><!DOCTYPE ClinicalDocument><ClinicalDocument/>",
        ],
    )
    def test_a_doctype(self, body: str) -> None:
        assert refused(body.encode()) == "XML with a DOCTYPE is refused."
        assert refused(body.encode("utf-16")) == "XML with a DOCTYPE is refused."
        assert refused(b"\xef\xbb\xbf" + body.encode()) == "XML with a DOCTYPE is refused."

    def test_an_undeclared_entity(self) -> None:
        assert refused(b"<ClinicalDocument>\n&nbsp;</ClinicalDocument>") == (
            "The XML is not well-formed (line 2)."
        )

    @pytest.mark.parametrize("depth", [DEPTH_LIMIT + 1, 1_000, 100_000])
    def test_deep_nesting(self, depth: int) -> None:
        body = b"<ClinicalDocument>" + b"<a>" * depth + b"</a>" * depth + b"</ClinicalDocument>"
        assert refused(body) in (
            "The XML is nested too deeply.",
            "The XML is not well-formed (line 1).",  # libxml2 has a limit of its own, higher up
        )

    def test_too_many_elements_and_attributes(self) -> None:
        many = b"<a/>" * (MARKUP_LIMIT + 1)
        assert refused(b"<ClinicalDocument>" + many + b"</ClinicalDocument>") == (
            "The XML has too many elements."
        )
        attributes = b" ".join(b"a%d=''" % n for n in range(MARKUP_LIMIT + 1))
        assert refused(b"<ClinicalDocument " + attributes + b"/>") == (
            "The XML has too many elements."
        )

    @pytest.mark.parametrize(
        ("body", "line"),
        [
            (b"", 1),
            (b"{}", 1),
            (b"<ClinicalDocument>", 1),
            (b"<ClinicalDocument>\n<a></b>\n</ClinicalDocument>", 2),
            (b"<ClinicalDocument/>\n<x/>", 2),
            (b"<ClinicalDocument>\xe9</ClinicalDocument>", 1),
            (b"<ClinicalDocument>\x00</ClinicalDocument>", 1),
            (b'<ClinicalDocument xsi:type="CD"/>', 1),
        ],
    )
    def test_malformed_xml_names_only_the_line(self, body: bytes, line: int) -> None:
        assert refused(body) == f"The XML is not well-formed (line {line})."

    @pytest.mark.parametrize(
        "body",
        [
            b'<Patient xmlns="http://hl7.org/fhir"/>',
            b"<html/>",
            b'<svg xmlns="http://www.w3.org/2000/svg"/>',
            b'<ClinicalDocument xmlns="urn:other"/>',
        ],
    )
    def test_other_xml(self, body: bytes) -> None:
        assert refused(body) == "This XML is not a CDA document."

    @pytest.mark.parametrize("encoding", ["utf-7", "ebcdic-cp-us", "iso-2022-jp", "utf-32"])
    def test_other_encodings(self, encoding: str) -> None:
        declaration = f'<?xml version="1.0" encoding="{encoding}"?>'
        assert "encoding" in refused(cda(declaration=declaration))


@pytest.mark.parametrize("name", ["section", "substanceAdministration", "component", "observation"])
def test_a_fragment_is_one_refused_item(name: str) -> None:
    for body in (f"<{name}/>", f'<{name} xmlns="urn:hl7-org:v3"/>'):
        reading = read(body.encode())
        (item,) = reading.items
        assert isinstance(item, Skipped)
        assert (item.kind, item.reason, item.is_refused) == (name, Reason.NO_PATIENT, True)
        assert reading.patients == {}


class TestEncodings:
    def title(self, body: bytes) -> str:
        item = read(body).items[0]
        assert isinstance(item, DocumentItem)
        assert item.original is not None and item.original.data == body
        return item.title

    def body(self, encoding: str) -> str:
        return cda(declaration=f'<?xml version="1.0" encoding="{encoding}"?>').decode()

    @pytest.mark.parametrize("encoding", ["iso-8859-1", "ISO-8859-15", "windows-1252", "utf-8"])
    def test_declared(self, encoding: str) -> None:
        text = self.body(encoding).replace("Synthèse d'essai", "Évaluation")
        assert self.title(text.encode(encoding)) == "Évaluation"

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_utf_16_with_and_without_mark(self, encoding: str) -> None:
        assert self.title(self.body("UTF-16").encode(encoding)) == "Synthèse d'essai"

    def test_a_byte_order_mark(self) -> None:
        for declared in ("utf-8", "iso-8859-1"):
            body = b"\xef\xbb\xbf" + self.body(declared).encode()
            assert self.title(body) == "Synthèse d'essai"

    def test_utf_16_declared_but_not_written(self) -> None:
        assert self.title(self.body("utf-16").encode()) == "Synthèse d'essai"

    def test_white_space_before_the_declaration(self) -> None:
        assert self.title(b"\r\n  " + cda()) == "Synthèse d'essai"


def test_any_prefix_of_the_namespace_and_none() -> None:
    plain = cda().decode()
    prefixed = plain.replace("<", "<n1:").replace("<n1:/", "</n1:").replace("<n1:?", "<?")
    prefixed = prefixed.replace('xmlns="urn:hl7-org:v3"', 'xmlns:n1="urn:hl7-org:v3"')
    bare = plain.replace('xmlns="urn:hl7-org:v3" ', "")
    for text in (prefixed, bare):
        item = read(text.encode()).items[0]
        assert isinstance(item, DocumentItem)
        assert item.unique_id == "1.2.3.4^doc-1"


def test_comments_do_not_cut_content() -> None:
    data = b64encode(b"%PDF-1.4 content").decode()
    body = flat(b"%PDF-1.4 content").replace(data, f"{data[:8]}<!-- page -->{data[8:]}")
    item = read(cda(body)).items[0]
    assert isinstance(item, DocumentItem)
    assert item.embedded[0].data == b"%PDF-1.4 content"


def test_large_content_passes() -> None:
    content = b"%PDF-" + bytes(24 * 2**20)  # its base64 is three times libxml2's usual limit
    item = read(cda(flat(content))).items[0]
    assert isinstance(item, DocumentItem)
    assert item.embedded[0].data == content


def test_many_references_to_one_long_text_cost_little() -> None:
    text = "".join(f"<paragraph>{n}</paragraph>" for n in range(50_000))
    act = (
        '<entry><act><entryRelationship typeCode="SUBJ"><observation><value code="1" '
        'codeSystem="1.2"><originalText><reference value="#t"/></originalText></value>'
        "</observation></entryRelationship></act></entry>"
    )
    body = structured(
        f'<section><code code="11450-4"/><text ID="t">{text}</text>{act * 2_000}</section>'
    )
    start = time.process_time()
    assert len(read(cda(body)).items) == 2_001
    assert time.process_time() - start < 5


def test_names_of_other_namespaces_stay() -> None:
    root = parse(b'<a xmlns="urn:hl7-org:v3" xmlns:s="urn:hl7-org:sdtc"><s:b/><c/></a>')
    assert [element.tag for element in root.iter()] == ["a", "{urn:hl7-org:sdtc}b", "c"]
