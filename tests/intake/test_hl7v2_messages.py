from __future__ import annotations

from base64 import b64encode

import pytest
from bodies import HEADER, INS, PATIENT, PID, cda, flat, mdm, message, section, structured

from carnet.errors import ValidationFailed
from carnet.intake.hl7v2 import reader
from carnet.intake.hl7v2.message import SEGMENTS_LIMIT, parse
from carnet.intake.hl7v2.reader import read
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    Flag,
    Item,
    PatientClaim,
    PatientItem,
    Reason,
    Skipped,
    WithdrawalItem,
)
from carnet.people.tables import Sex
from carnet.values import Identifier, PartialDate

PROBLEM = structured(
    section(
        "11450-4",
        '<act><entryRelationship typeCode="SUBJ"><observation><value code="I20.0" '
        'codeSystem="2.16.840.1.113883.6.3" displayName="Angine"/></observation>'
        "</entryRelationship></act>",
    )
)


def one(body: bytes) -> Item:
    (item,) = read(body).items
    return item


def document(body: bytes) -> DocumentItem:
    item = read(body).items[0]
    assert isinstance(item, DocumentItem)
    return item


def refusal(body: bytes) -> Reason:
    item = one(body)
    assert isinstance(item, Skipped) and item.is_refused
    return item.reason


def claim(pid: str) -> PatientClaim:
    (found,) = read(message("ADT^A01^ADT_A01", pid)).patients.values()
    return found


class TestShape:
    @pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\n\n"])
    def test_any_line_end(self, end: str) -> None:
        assert document(mdm("T02", cda(), end=end)).unique_id == "1.2.3.4"

    def test_framing_and_marks(self) -> None:
        body = mdm("T02", cda())
        for framed in (b"\x0b" + body + b"\x1c\r", b"\xef\xbb\xbf" + body, b"\r\n" + body):
            assert document(framed).unique_id == "1.2.3.4"

    def test_a_batch(self) -> None:
        batch = (
            b"FHS|^~\\&|A\rBHS|^~\\&|A\r"
            + mdm("T02", cda(), unique_id="1.2.3.4.1")
            + b"\x1c\r\x0b"
            + mdm("T02", b"not xml", unique_id="1.2.3.4.2")
            + mdm("T02", cda(), unique_id="1.2.3.4.3")
            + b"BTS|3\rFTS|1\r"
        )
        reading = read(batch)
        found = [item for item in reading.items if isinstance(item, DocumentItem)]
        assert [item.unique_id for item in found] == ["1.2.3.4.1", "1.2.3.4.3"]
        assert len(reading.patients) == 1
        keys = [item.source_key for item in reading.items]
        assert len(keys) == len(set(keys)) == 3

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"PID|1\rMSH|", b"FHS|^~\\&|\rFTS|1", b"mshx", b"<a/>"]
    )
    def test_what_is_no_message(self, body: bytes) -> None:
        with pytest.raises(ValidationFailed):
            read(body)

    def test_too_many_segments(self) -> None:
        body = message("ORU^R01") + b"NTE\r" * SEGMENTS_LIMIT
        with pytest.raises(ValidationFailed, match="segments"):
            read(body)

    def test_too_many_messages(self) -> None:
        with pytest.raises(ValidationFailed, match="messages"):
            read(message("ADT^A01") * 10_001)

    def test_too_many_documents(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reader, "DOCUMENTS_LIMIT", 2)
        body = b"".join(mdm("T02", cda(), unique_id=f"1.2.{n}") for n in range(4))
        kinds = [type(item) for item in read(body).items]
        assert kinds == [DocumentItem, DocumentItem, Skipped, Skipped]

    def test_other_separators_and_escapes(self) -> None:
        body = (
            b"MSH$*%!@$A$B$C$D$2024$$ADT*A01$1$P$2.5\r"
            b"PID$$$12*3*4*CHU@1.2.3@ISO*PI$$MAR!S!TIN*Zo!X C3A9!!XC3A9!*L!T!o!R!u!F!x!E!y!H!z\\F\\\r"
        )
        (found,) = read(body).patients.values()
        assert found.identifiers == (Identifier("urn:oid:1.2.3", "12"),)
        assert found.birth_family_name == "MAR*TIN"
        assert found.given_names == ("Zo!X C3A9!é", "L@o%u$x!yz\\F\\")

    @pytest.mark.parametrize(
        ("charset", "encoding"),
        [
            ("UNICODE UTF-8", "utf-8"),
            ("8859/1", "iso-8859-1"),
            ("8859/15", "iso-8859-15"),
            ("UNICODE UTF-8", "windows-1252"),  # declared wrongly
            ("", "utf-8"),
            ("~ISO IR87", "utf-8"),
        ],
    )
    def test_charsets(self, charset: str, encoding: str) -> None:
        text = message("ADT^A01", PID.replace("Claire", "Zoé")).decode()
        body = text.replace("UNICODE UTF-8", charset).encode(encoding)
        (found,) = read(body).patients.values()
        assert found.given_names == ("Zoé",)

    def test_a_segment_broken_over_lines(self) -> None:
        data = b64encode(cda(flat())).decode()
        body = mdm("T02", cda(flat())).decode()
        wrapped = "\n".join(data[n : n + 76] for n in range(0, len(data), 76))
        item = document(body.replace(data, wrapped).encode())
        assert item.original is not None and item.original.data == cda(flat())
        assert item.flags == ()

    def test_a_broken_segment_loses_nothing_else(self) -> None:
        body = mdm("T02", cda()).replace(b"PV1|1|I|UF", b"PV1\rZZZ|\xff\xfe^^~~&&\rXX")
        assert document(body).unique_id == "1.2.3.4"

    def test_segments_and_fields_are_counted_as_hl7_does(self) -> None:
        (found,) = parse(message("ADT^A01", "PID|1|a^b&c~d"))
        assert found.header.text(9, 2) == "A01"
        assert (found.header.raw(1), found.header.raw(2)) == ("|", "^~\\&")
        pid = found.segments[1]
        assert [repetition.text(1) for repetition in pid.repetitions(2)] == ["a", "d"]
        assert pid.first(2)[2].sub(2) == "c"
        assert pid.text(9) == pid.text(2, 9) == ""


class TestPatient:
    def test_a_patient(self) -> None:
        found = claim(
            f"PID|1||77^^^CHU&000897406&N^PI~279035121518989^^^INS-NIR&{INS}&ISO^INS||"
            "DURAND^Jeanne^^^^^D~NESSI^Marie^MARIE JEANNE^^^^L~Star^^^^^^S||197903280430|M|||"
            "1 rue A^^PARIS^^75007^FRA^H~^^^^^^BDL^^2A004||||||||||||||||||20240102|Y"
        )
        assert found.identifiers == (
            Identifier("CHU&000897406&N", "77"),
            Identifier(f"urn:oid:{INS}", "279035121518989"),
        )
        assert (found.birth_family_name, found.used_family_name) == ("NESSI", "DURAND")
        assert found.given_names == ("Marie", "JEANNE")
        assert (found.birth_date, found.sex) == (PartialDate("1979-03-28"), Sex.MALE)
        assert found.birth_place_code == "2A004"
        assert found.is_deceased and found.deceased_on == PartialDate("2024-01-02")

    def test_a_maiden_name_is_the_name_at_birth(self) -> None:
        found = claim(f"PID|||1^^^&{INS}&ISO||DOE^Ann^^^^^L~ROE^^^^^^M")
        assert (found.birth_family_name, found.used_family_name) == ("ROE", "DOE")
        assert found.given_names == ("Ann",)

    def test_identifiers_without_authority_are_nobody_s(self) -> None:
        item = one(message("ADT^A01", "PID|||123^^^^PI||DOE^Ann"))
        assert isinstance(item, Skipped)
        assert (item.reason, item.is_refused) == (Reason.NO_PATIENT, True)

    def test_admissions_and_other_messages(self) -> None:
        assert isinstance(one(message("ADT^A28", PID)), PatientItem)
        for kind in ("ADT^A40", "ADT^A29", "SIU^S12", "ORM^O01", ""):
            item = one(message(kind, PID))
            assert isinstance(item, Skipped)
            assert (item.reason, item.is_refused) == (Reason.NOT_SUPPORTED, False)


class TestDocuments:
    def test_the_message_s_identifier_is_the_document_s(self) -> None:
        reading = read(mdm("T02", cda(PROBLEM), unique_id="1.9.9^RIS"))
        item, problem = reading.items
        assert isinstance(item, DocumentItem) and isinstance(problem, EntryItem)
        assert item.unique_id == item.source_key == "1.9.9"
        assert problem.document == "1.9.9"
        assert problem.source_key.startswith("1.9.9#")
        assert problem.patient == item.patient == next(iter(reading.patients))

    @pytest.mark.parametrize(
        ("written", "unique_id"),
        [
            ("1.2.3^RIS", "1.2.3"),
            (r"1.2.3\S\77^RIS", "1.2.3^77"),
            ("77^RIS^1.2.3^ISO", "1.2.3^77"),
            ("77^RIS", "77^RIS"),
            ("77", "77"),
            ("", "1.2.3.4^doc-1"),
        ],
    )
    def test_forms_of_identifiers(self, written: str, unique_id: str) -> None:
        assert document(mdm("T02", cda(), unique_id=written)).unique_id == unique_id

    def test_replacements(self) -> None:
        def replaced(
            event: str, state: str = "F", rest: str = "", own: str = "1.2.5"
        ) -> str | None:
            body = mdm(event, cda(rest=rest), unique_id=own, parent="1.2.4", state=state)
            return document(body).replaces_unique_id

        assert replaced("T10") == "1.2.4"
        assert replaced("T02", "C") == "1.2.4"
        assert replaced("T02") is None  # an addendum names a parent too
        assert replaced("T10", own="1.2.4") is None
        related = (
            '<relatedDocument typeCode="RPLC"><parentDocument><id root="1.2.7"/>'
            "</parentDocument></relatedDocument>"
        )
        assert replaced("T02", rest=related) == "1.2.7"

    def test_visibility_overrides_the_document(self) -> None:
        header = HEADER + '<confidentialityCode code="MASQUE_PS"/>'
        item = document(
            mdm("T02", cda(header=header), flags={"MASQUE_PS": "N", "INVISIBLE_PATIENT": "Y"})
        )
        assert (item.is_masked, item.is_hidden_from_holder) == (False, True)
        assert item.is_hidden_from_representatives is False
        assert document(mdm("T02", cda(header=header))).is_masked is True

    def test_missing_padding_is_repaired_and_flagged(self) -> None:
        source = next(cda(rest=" " * n) for n in range(3) if len(cda(rest=" " * n)) % 3)
        body = mdm("T02", source).replace(b"=||", b"||").replace(b"=||", b"||")
        item = document(body)
        assert item.flags == (Flag.BASE64_REPAIRED,)
        assert item.original is not None and item.original.data == source

    def test_text_and_hexadecimal_payloads(self) -> None:
        source = cda(declaration="").decode().replace("&", r"\T\\").replace("\n", r"\.br\\")
        source = source.replace(r"\.br\\", r"\.br" + "\\")
        obx = f"OBX|1|ED|34133-9^S^LN||^text^XML^A^{source}||||||F"
        assert document(message("ORU^R01", PID, obx)).title == "Synthèse d'essai"
        obx = f"OBX|1|ED|34133-9^S^LN||^text^XML^Hex^{cda().hex()}||||||F"
        assert document(message("ORU^R01", PID, obx)).title == "Synthèse d'essai"

    def test_another_patient_s_document_is_refused(self) -> None:
        other = cda(PROBLEM, patient=PATIENT.replace("279035121518989", "154079912345678"))
        assert refusal(mdm("T02", other)) is Reason.IDENTITY_CONFLICT
        assert refusal(mdm("T11", other, state="D")) is Reason.IDENTITY_CONFLICT

    def test_a_shared_local_number_does_not_outweigh_the_national_one(self) -> None:
        local = '<patientRole><id root="1.2.3" extension="7"/>'
        other = PATIENT.replace("279035121518989", "154079912345678")
        other = other.replace("<patientRole>", local)
        pid = PID.replace("PID|||", "PID|||7^^^&1.2.3&ISO^PI~")
        assert refusal(mdm("T02", cda(patient=other), pid=pid)) is Reason.IDENTITY_CONFLICT
        no_national = PATIENT.replace(f'<id root="{INS}" extension="279035121518989"/>', "")
        no_national = no_national.replace("<patientRole>", local)
        assert document(mdm("T02", cda(patient=no_national), pid=pid)).unique_id == "1.2.3.4"

    def test_a_national_number_without_its_key_is_the_same(self) -> None:
        short = cda(patient=PATIENT.replace("279035121518989", "2790351215189"))
        assert document(mdm("T02", short)).unique_id == "1.2.3.4"

    def test_a_document_that_names_nobody_is_the_message_s_patient_s(self) -> None:
        reading = read(mdm("T02", cda(patient="")))
        item = reading.items[0]
        assert isinstance(item, DocumentItem)
        assert reading.patients[item.patient].birth_family_name == "MARTIN"

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (mdm("T02", cda(patient=PATIENT * 2)), Reason.MALFORMED),
            (mdm("T02", b"<section/>"), Reason.NO_PATIENT),
            (mdm("T02", b"<a>"), Reason.MALFORMED),
            (mdm("T02", b"<!DOCTYPE a><a/>"), Reason.MALFORMED),
            (mdm("T02", cda(), pid="PID|1||123"), Reason.NO_PATIENT),
            (mdm("T02", cda(), pid="NTE|1"), Reason.NO_PATIENT),
            (mdm("T02", cda()).replace(b"Base64^", b"Base64^*"), Reason.MALFORMED),
        ],
    )
    def test_refused_documents(self, body: bytes, reason: Reason) -> None:
        assert refusal(body) is reason

    @pytest.mark.parametrize(
        "body",
        [
            mdm("T02", b"%PDF-1.4"),
            mdm("T02", cda()).replace(b"|ED|", b"|RP|"),
            message("MDM^T02", PID, "TXA|1|X|TEXT|||||||||1.2.3"),
            message("ORU^R01", PID, "OBX|1|NM|718-7^Hb^LN||13.2|g/dL"),
        ],
    )
    def test_what_is_not_interpreted(self, body: bytes) -> None:
        item = one(body)
        assert isinstance(item, Skipped)
        assert (item.reason, item.is_refused) == (Reason.NOT_SUPPORTED, False)

    def test_many_results_are_told_once(self) -> None:
        results = [f"OBX|{n}|NM|718-7^Hb^LN||13.2|g/dL" for n in range(50)]
        assert isinstance(one(message("ORU^R01", PID, "OBR|1", *results)), Skipped)

    def test_several_reports_of_one_message(self) -> None:
        def report(number: int, flag: str) -> tuple[str, ...]:
            source = cda(header=HEADER.replace("doc-1", f"doc-{number}"))
            return (
                "ORC|NW",
                f"OBR|{number}|||34133-9^S^LN",
                f"OBX|1|ED|34133-9^S^LN||^text^XML^Base64^{b64encode(source).decode()}||||||F",
                f"OBX|2|CWE|MASQUE_PS^x^MetaDMPMSS||{flag}||||||F",
            )

        body = message("ORU^R01^ORU_R01", PID, *report(1, "Y"), *report(2, "N"))
        found = [item for item in read(body).items if isinstance(item, DocumentItem)]
        assert [(item.unique_id, item.is_masked) for item in found] == [
            ("1.2.3.4^doc-1", True),
            ("1.2.3.4^doc-2", False),
        ]

    def test_a_second_patient_in_one_message(self) -> None:
        other = "154079912345678"
        data = b64encode(cda(patient=PATIENT.replace("279035121518989", other))).decode()
        obx = f"OBX|1|ED|S^S^LN||^text^XML^Base64^{data}||||||F"
        first = f"OBX|1|ED|S^S^LN||^text^XML^Base64^{b64encode(cda()).decode()}||||||F"
        second = PID.replace("279035121518989", other)
        reading = read(message("ORU^R01", PID, "OBR|1", first, second, "OBR|2", obx))
        patients = [item.patient for item in reading.items if isinstance(item, DocumentItem)]
        assert [reading.patients[key].identifiers[0].value for key in patients] == [
            "279035121518989",
            other,
        ]


class TestDeletions:
    @pytest.mark.parametrize(
        "body",
        [
            mdm("T04", cda(), state="D"),
            mdm("T11", cda()),
            mdm("T02", cda(), state="D"),
            mdm("T04", cda()).replace(b"TXA|", b"ORC|CA\rTXA|"),
            mdm("T04", b"not a document", state="D"),
            mdm("T04", cda(), state="D").replace(b"Base64^", b"Base64^*"),
            message("MDM^T11", PID, "TXA|1|X|TEXT|||||||||1.2.3.4"),
        ],
    )
    def test_a_document_is_taken_back(self, body: bytes) -> None:
        item = one(body)
        assert isinstance(item, WithdrawalItem)
        assert item.unique_id == "1.2.3.4"

    def test_the_document_says_which_where_the_message_does_not(self) -> None:
        item = one(mdm("T04", cda(), state="D", unique_id=""))
        assert isinstance(item, WithdrawalItem)
        assert item.unique_id == "1.2.3.4^doc-1"

    def test_nothing_says_which(self) -> None:
        assert refusal(message("MDM^T11", PID, "TXA|1|X")) is Reason.MALFORMED

    def test_a_status_change_without_deletion_deposits(self) -> None:
        assert document(mdm("T04", cda())).unique_id == "1.2.3.4"
