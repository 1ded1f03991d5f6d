from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha1

import pytest
from bodies import HEADER, PATIENT, PDF, cda, flat, section, structured

from carnet.intake.cda import read
from carnet.intake.model import Author, DocumentItem, Flag, PatientClaim, Reason, Skipped
from carnet.people.tables import Sex
from carnet.values import Coding, Identifier, PartialDate


def document(body: bytes) -> DocumentItem:
    item = read(body).items[0]
    assert isinstance(item, DocumentItem)
    return item


def patient(name: str, rest: str = "") -> PatientClaim:
    role = (
        '<recordTarget><patientRole><id root="1.2.3" extension="7"/>'
        f"<patient>{name}{rest}</patient></patientRole></recordTarget>"
    )
    (claim,) = read(cda(patient=role)).patients.values()
    return claim


def refusal(body: bytes) -> tuple[Reason, bool]:
    reading = read(body)
    (item,) = reading.items
    assert isinstance(item, Skipped)
    assert reading.patients == {}
    return item.reason, item.is_refused


class TestDocument:
    def test_the_body_is_kept_as_it_came(self) -> None:
        body = cda()
        item = document(body)
        assert item.original is not None
        assert item.original.data == body
        assert item.original.media_type == "text/xml"
        assert item.source_key == item.unique_id == "1.2.3.4^doc-1"
        assert item.type == Coding("http://loinc.org", "34133-9", "Synthèse")
        assert item.source_created_at == datetime(2024, 3, 1, 9, 15, tzinfo=UTC)
        assert item.flags == ()

    def test_only_a_replacement_replaces(self) -> None:
        def related(kind: str) -> str:
            return (
                f'<relatedDocument typeCode="{kind}"><parentDocument>'
                '<id root="1.2.3.4" extension="doc-0"/></parentDocument></relatedDocument>'
            )

        assert document(cda(rest=related("RPLC"))).replaces_unique_id == "1.2.3.4^doc-0"
        assert document(cda(rest=related("APND"))).replaces_unique_id is None
        assert document(cda(rest=related("XFRM"))).replaces_unique_id is None
        both = related("XFRM") + related("RPLC")
        assert document(cda(rest=both)).replaces_unique_id == "1.2.3.4^doc-0"
        itself = related("RPLC").replace("doc-0", "doc-1")
        assert document(cda(rest=itself)).replaces_unique_id is None

    def test_french_visibility_codes(self) -> None:
        more = "".join(
            f'<confidentialityCode code="{code}" codeSystem="1.2.250.1.213.1.1.4.13"/>'
            for code in ("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX")
        )
        item = document(cda(rest=more))
        assert item.is_masked and item.is_hidden_from_holder
        assert item.is_hidden_from_representatives
        assert item.confidentiality_codes == (
            "N",
            "MASQUE_PS",
            "INVISIBLE_PATIENT",
            "INVISIBLE_REPRESENTANTS_LEGAUX",
        )
        plain = document(cda())
        assert not (plain.is_masked or plain.is_hidden_from_holder)
        assert not plain.is_hidden_from_representatives

    def test_the_main_act_is_the_first_with_a_date(self) -> None:
        def act(time: str, setting: str) -> str:
            return (
                f"<documentationOf><serviceEvent>{time}<performer><assignedEntity>"
                f"<representedOrganization>{setting}</representedOrganization></assignedEntity>"
                "</performer></serviceEvent></documentationOf>"
            )

        setting = (
            '<standardIndustryClassCode code="AMBULATOIRE" codeSystem="1.2.250.1.213.1.1.4.9"/>'
        )
        time = '<effectiveTime><low value="20240229"/><high value="202403011200+0100"/></effectiveTime>'
        unknown = '<effectiveTime><low nullFlavor="UNK"/></effectiveTime>'
        item = document(cda(rest=act(unknown, "") + act(time, setting)))
        assert item.service_started_at == datetime(2024, 2, 28, 23, tzinfo=UTC)  # Paris
        assert item.service_ended_at == datetime(2024, 3, 1, 11, tzinfo=UTC)
        assert item.practice_setting == Coding("urn:oid:1.2.250.1.213.1.1.4.9", "AMBULATOIRE")
        moment = document(cda(rest=act('<effectiveTime value="20240229120000+0000"/>', "")))
        assert moment.service_started_at == datetime(2024, 2, 29, 12, tzinfo=UTC)
        assert moment.service_ended_at is None

    def test_an_unreadable_date_is_flagged(self) -> None:
        item = document(cda(header=HEADER.replace("20240301101500+0100", "20241399")))
        assert item.source_created_at is None
        assert item.flags == (Flag.DATE_UNREADABLE,)

    def test_a_title_is_found(self) -> None:
        untitled = HEADER.replace("Synthèse d'essai", " ")
        assert document(cda(header=untitled)).title == "Synthèse"
        bare = untitled.replace(' displayName="Synthèse"', "")
        assert document(cda(header=bare)).title == "34133-9"

    def test_format_follows_the_templates(self) -> None:
        def code(template: str, body: str = "") -> str | None:
            header = HEADER.replace('"1.2.250.1.213.1.1.1.1"', f'"{template}"')
            return document(cda(body, header=header)).format_code

        assert code("1.2.250.1.213.1.1.1.37") == "urn:asip:ci-sis:vac:2019"
        assert code("1.3.6.1.4.1.19376.1.3.3") == "urn:ihe:lab:xd-lab:2008"
        scanned = "1.3.6.1.4.1.19376.1.2.20"
        assert code(scanned, flat()) == "urn:ihe:iti:xds-sd:pdf:2008"
        assert code(scanned, flat(b"words", "text/plain")) == "urn:ihe:iti:xds-sd:text:2008"
        assert code("1.2.250.1.213.1.1.1.1") is None

    def test_a_document_without_identifier_is_refused(self) -> None:
        header = HEADER.replace('<id root="1.2.3.4" extension="doc-1"/>', '<id nullFlavor="UNK"/>')
        assert refusal(cda(header=header)) == (Reason.MALFORMED, True)


class TestPatient:
    def test_several_patients_are_refused(self) -> None:
        assert refusal(cda(patient=PATIENT * 2)) == (Reason.MALFORMED, True)

    def test_nobody_is_refused(self) -> None:
        assert refusal(cda(patient="")) == (Reason.NO_PATIENT, True)
        unknown = PATIENT.replace('extension="279035121518989"', 'nullFlavor="UNK"')
        assert refusal(cda(patient=unknown)) == (Reason.NO_PATIENT, True)

    def test_nobody_else_in_the_document_is_the_patient(self) -> None:
        other = (
            "<informant><relatedEntity><relatedPerson><name><family>X</family></name>"
            "</relatedPerson></relatedEntity></informant><participant><associatedEntity>"
            '<id root="1.2.3" extension="9"/></associatedEntity></participant>'
        )
        assert refusal(cda(patient="", rest=other)) == (Reason.NO_PATIENT, True)

    def test_an_identifier_keeps_a_root_that_is_no_oid(self) -> None:
        role = PATIENT.replace("1.2.250.1.213.1.4.10", "ProviderID")
        (claim,) = read(cda(patient=role)).patients.values()
        assert claim.identifiers == (Identifier("ProviderID", "279035121518989"),)

    def test_a_root_alone_is_an_identifier_only_as_a_uuid(self) -> None:
        uuid = "D3DCE1E0-EB52-47CB-8507-D33F0041D138"
        alone = f'<recordTarget><patientRole><id root="{uuid}"/></patientRole></recordTarget>'
        (claim,) = read(cda(patient=alone)).patients.values()
        assert claim.identifiers == (Identifier("urn:ietf:rfc:3986", f"urn:uuid:{uuid.lower()}"),)
        # The number of an authority, without what it gave out, would be everybody's.
        assert refusal(cda(patient=alone.replace(uuid, "2.16.840.1.113883.4.6")))[0] is (
            Reason.NO_PATIENT
        )

    def test_french_names(self) -> None:
        claim = patient(
            '<name><family qualifier="BR">NESSI</family><given>MARIE JEANNE LOUISE</given>'
            '<given qualifier="BR">MARIE</given><family qualifier="CL">DURAND</family>'
            '<given qualifier="CL">JEANNE</given></name>'
        )
        assert (claim.birth_family_name, claim.used_family_name) == ("NESSI", "DURAND")
        assert claim.given_names == ("MARIE", "JEANNE", "LOUISE")

    def test_names_without_qualifiers(self) -> None:
        claim = patient("<name><given>Adam</given><given>Frank</given><family>Doe</family></name>")
        assert (claim.birth_family_name, claim.used_family_name) == ("Doe", None)
        assert claim.given_names == ("Adam", "Frank")

    def test_names_over_several_elements(self) -> None:
        claim = patient(
            '<name use="P"><given>Ev</given><family qualifier="BR">Every</family></name>'
            '<name use="L"><given>Eve</given><family qualifier="SP">Half</family></name>'
        )
        assert (claim.birth_family_name, claim.used_family_name) == ("Every", "Half")
        assert claim.given_names == ("Eve",)

    @pytest.mark.parametrize(
        ("written", "read_as"),
        [
            ("1975", "1975"),
            ("197503", "1975-03"),
            ("19750328", "1975-03-28"),
            ("19540323000000.000-0600", "1954-03-23"),
            ("19750000", "1975"),
            ("19751328", None),
            ("", None),
        ],
    )
    def test_birth_dates(self, written: str, read_as: str | None) -> None:
        claim = patient("<name/>", f'<birthTime value="{written}"/>')
        assert claim.birth_date == (PartialDate(read_as) if read_as else None)

    def test_traits(self) -> None:
        claim = patient(
            "<name><family>A</family></name>",
            '<administrativeGenderCode code="M"/><sdtc:deceasedInd value="true"/>'
            '<sdtc:deceasedTime value="20230501"/><birthplace><place><addr>'
            "<county>2A004</county></addr></place></birthplace>",
        )
        assert claim.sex is Sex.MALE
        assert claim.is_deceased and claim.deceased_on == PartialDate("2023-05-01")
        assert claim.birth_place_code == "2A004"

    def test_personal_data_stays_out_of_reprs(self) -> None:
        reading = read(cda())
        assert "MARTIN" not in repr(reading) and "279035121518989" not in repr(reading)


def test_authors_are_persons_or_devices() -> None:
    device = (
        '<author><functionCode code="PCP" codeSystem="2.16.840.1.113883.5.88"/><assignedAuthor>'
        '<id root="1.2.9" extension="5"/><code code="ALIM" codeSystem="1.2.250.1.213.1.1.4.6"/>'
        "<assignedAuthoringDevice><softwareName>Logiciel</softwareName></assignedAuthoringDevice>"
        '<representedOrganization><id root="1.2.250.1.71.4.2.2" extension="1750803447"/>'
        "<name>Cabinet</name></representedOrganization></assignedAuthor></author>"
        "<author><assignedAuthor><id nullFlavor='UNK'/></assignedAuthor></author>"
    )
    person, machine = document(cda(rest=device)).authors
    assert person == Author(
        family_name="DURAND",
        given_name="Paul",
        identifier=Identifier("urn:oid:1.2.250.1.71.4.2.1", "810000000001"),
    )
    assert machine == Author(
        family_name="Logiciel",
        identifier=Identifier("urn:oid:1.2.9", "5"),
        role=Coding("urn:oid:2.16.840.1.113883.5.88", "PCP"),
        speciality=Coding("urn:oid:1.2.250.1.213.1.1.4.6", "ALIM"),
        organization_name="Cabinet",
        organization_identifier=Identifier("urn:oid:1.2.250.1.71.4.2.2", "1750803447"),
    )


class TestContent:
    def test_an_unstructured_body_is_taken_out(self) -> None:
        (part,) = document(cda(flat())).embedded
        assert (part.data, part.media_type) == (PDF, "application/pdf")

    def test_wrapped_base64_is_no_fault_and_missing_padding_is_repaired(self) -> None:
        data = b64encode(PDF + b"!").decode()
        assert data.endswith("=")
        wrapped = "\n   ".join((data[:20], data[20:]))
        body = flat().replace(b64encode(PDF).decode(), wrapped)
        item = document(cda(body))
        assert item.embedded[0].data == PDF + b"!"
        assert item.flags == ()
        item = document(cda(body.replace("=<", "<").replace("=<", "<")))
        assert item.embedded[0].data == PDF + b"!"
        assert item.flags == (Flag.BASE64_REPAIRED,)

    def test_broken_base64_is_told_and_the_document_kept(self) -> None:
        body = flat().replace(b64encode(PDF).decode(), "JVBER*!")
        first, told = read(cda(body)).items
        assert isinstance(first, DocumentItem) and first.embedded == ()
        assert isinstance(told, Skipped)
        assert (told.kind, told.reason) == ("nonXMLBody", Reason.MALFORMED)

    def test_a_reference_is_never_followed(self) -> None:
        body = (
            '<component><nonXMLBody><text mediaType="application/pdf">'
            '<reference value="file:///etc/passwd"/></text></nonXMLBody></component>'
        )
        item = document(cda(body))
        assert item.embedded == ()
        assert item.flags == (Flag.CONTENT_NOT_ATTACHED,)

    def test_the_first_bytes_decide_on_the_type(self) -> None:
        def kind(content: bytes, claimed: str) -> str:
            return document(cda(flat(content, claimed))).embedded[0].media_type

        assert kind(b"\x89PNG\r\n\x1a\n....", "image/jpeg") == "image/png"
        assert kind(b"<script>", "application/pdf") == "application/octet-stream"
        assert kind(b"{\\rtf1 a}", "text/rtf") == "text/rtf"
        assert kind(b"PK\x03\x04", "application/zip") == "application/zip"
        assert kind(b"words", "no type") == "application/octet-stream"

    def test_plain_text_bodies(self) -> None:
        body = "<component><nonXMLBody><text>Tout va bien.</text></nonXMLBody></component>"
        (part,) = document(cda(body)).embedded
        assert (part.data, part.media_type) == (b"Tout va bien.", "text/plain")

    def test_files_among_the_entries(self) -> None:
        digest = b64encode(sha1(PDF, usedforsecurity=False).digest()).decode()
        data = b64encode(PDF).decode()
        media = (
            '<observationMedia classCode="OBS" moodCode="EVN"><value mediaType="application/pdf" '
            f'representation="B64" integrityCheck="{digest}">{data}</value></observationMedia>'
        )
        squeezed = media.replace('representation="B64"', 'representation="B64" compression="DF"')
        reading = read(cda(structured(section("55107-7", media, squeezed))))
        item, told = reading.items
        assert isinstance(item, DocumentItem) and isinstance(told, Skipped)
        (part,) = item.embedded
        assert part.data == PDF
        assert part.claimed_sha1 == sha1(PDF, usedforsecurity=False).digest()
        assert told.kind == "observationMedia"
