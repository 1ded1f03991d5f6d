from __future__ import annotations

from decimal import Decimal

import pytest
from bodies import HEADER, cda, section, structured

from carnet.intake.cda import read
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    Flag,
    ImmunizationItem,
    Item,
    NothingToDeclareItem,
    Reason,
    Skipped,
)
from carnet.records.tables import EntryStatus, Section
from carnet.values import Coding, PartialDate

VACCINATION = "1.2.250.1.213.1.1.3.45"


def vaccine(
    *,
    attributes: str = 'classCode="SBADM" moodCode="EVN" negationInd="false"',
    template: str = VACCINATION,
    code: str = '<code code="IMMUNIZ" codeSystem="2.16.840.1.113883.5.4"/>',
    status: str = "completed",
    time: str = '<effectiveTime value="20210409"/>',
    material: str = (
        '<code code="61077869" codeSystem="1.2.250.1.213.2.3.1" displayName="VACCIN BCG">'
        '<translation code="J07AN" codeSystem="2.16.840.1.113883.6.73"/></code>'
        "<lotNumberText>L1</lotNumberText>"
    ),
    more: str = "",
) -> str:
    return (
        f'<substanceAdministration {attributes}><templateId root="{template}"/>{code}'
        f'<statusCode code="{status}"/>{time}<consumable><manufacturedProduct>'
        f"<manufacturedMaterial>{material}</manufacturedMaterial></manufacturedProduct>"
        f"</consumable>{more}</substanceAdministration>"
    )


def items(*sections: str, header: str = HEADER) -> tuple[Item, ...]:
    document, *others = read(cda(structured(*sections), header=header)).items
    assert isinstance(document, DocumentItem)
    return tuple(others)


def one(*sections: str, header: str = HEADER) -> Item:
    (item,) = items(*sections, header=header)
    return item


def dose(text: str) -> ImmunizationItem:
    item = one(section("11369-6", text))
    assert isinstance(item, ImmunizationItem)
    return item


def not_a_dose(text: str, header: str = HEADER) -> Reason:
    item = one(section("11369-6", text), header=header)
    assert isinstance(item, Skipped)
    return item.reason


class TestImmunizations:
    def test_a_dose(self) -> None:
        rank = (
            '<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">'
            '<code code="30973-2" codeSystem="2.16.840.1.113883.6.1"/>'
            '<value xsi:type="INT" value="2"/></observation></entryRelationship>'
            '<entryRelationship typeCode="RSON"><act classCode="ACT" moodCode="EVN">'
            '<code code="A15" codeSystem="2.16.840.1.113883.6.3"/></act></entryRelationship>'
        )
        item = dose(vaccine(more=rank))
        assert item.vaccine_label == "VACCIN BCG"
        assert item.codings == (
            Coding("urn:oid:1.2.250.1.213.2.3.1", "61077869", "VACCIN BCG"),
            Coding("http://www.whocc.no/atc", "J07AN"),
        )
        assert item.given_on == PartialDate("2021-04-09")
        assert (item.lot_number, item.dose_rank) == ("L1", 2)
        assert item.target_diseases == (Coding("http://hl7.org/fhir/sid/icd-10", "A15"),)
        assert item.document == "1.2.3.4^doc-1"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (vaccine(attributes='moodCode="EVN" negationInd="true"'), Reason.NOT_DONE),
            (vaccine(attributes='moodCode="EVN" negationInd="1"'), Reason.NOT_DONE),
            (vaccine(attributes='moodCode="INT"'), Reason.NOT_DONE),
            (vaccine(attributes='moodCode="PRP"'), Reason.NOT_DONE),
            (vaccine(attributes='moodCode="INT"', status="active"), Reason.NOT_DONE),
            (vaccine(attributes='moodCode="EVN" nullFlavor="NI"'), Reason.NOT_DONE),
            (vaccine(status="aborted"), Reason.NOT_DONE),
            (vaccine(status="cancelled"), Reason.NOT_DONE),
            (vaccine(status="nullified"), Reason.ENTERED_IN_ERROR),
            (vaccine(material=""), Reason.MALFORMED),
            (vaccine(material='<code nullFlavor="UNK"/>'), Reason.MALFORMED),
            (
                vaccine(
                    material='<code code="no-known-immunizations" displayName="Pas de vaccin connu" '
                    'codeSystem="2.16.840.1.113883.5.1150.1"/>'
                ),
                Reason.NOT_DONE,
            ),
            (
                vaccine(
                    code='<code code="no-immunization-info" '
                    'codeSystem="2.16.840.1.113883.5.1150.1"/>'
                ),
                Reason.NOT_DONE,
            ),
            (
                vaccine(
                    material='<code code="998" codeSystem="2.16.840.1.113883.12.292" '
                    'displayName="no vaccine administered"/>'
                ),
                Reason.NOT_DONE,
            ),
            (vaccine(material="<name>Aucun vaccin</name>"), Reason.NOT_DONE),
            (
                vaccine(
                    more='<subject><relatedSubject classCode="PRS"><code code="MTH"/>'
                    "</relatedSubject></subject>"
                ),
                Reason.NOT_SUPPORTED,
            ),
        ],
    )
    def test_what_is_no_dose(self, text: str, reason: Reason) -> None:
        assert not_a_dose(text) is reason

    def test_reimbursed_is_not_administered(self) -> None:
        header = HEADER.replace('code="34133-9"', 'code="REMB"')
        assert not_a_dose(vaccine(), header) is Reason.NOT_ADMINISTERED
        header = HEADER.replace("1.2.250.1.213.1.1.1.1", "1.2.250.1.213.1.1.1.36")
        assert not_a_dose(vaccine(), header) is Reason.NOT_ADMINISTERED

    @pytest.mark.parametrize(
        ("time", "given_on"),
        [
            ('<effectiveTime value="1975"/>', "1975"),
            ('<effectiveTime value="199911"/>', "1999-11"),
            ('<effectiveTime value="20140515005316-0800"/>', "2014-05-15"),
            (
                '<effectiveTime><low value="20140515"/><high nullFlavor="NA"/></effectiveTime>',
                "2014-05-15",
            ),
            ('<effectiveTime nullFlavor="UNK"/>', None),
            ("", None),
        ],
    )
    def test_dates_of_doses(self, time: str, given_on: str | None) -> None:
        assert dose(vaccine(time=time)).given_on == (PartialDate(given_on) if given_on else None)

    def test_an_unreadable_date_keeps_the_dose_and_flags_the_document(self) -> None:
        text = section("11369-6", vaccine(time='<effectiveTime value="le 3 mai"/>'))
        document, item = read(cda(structured(text))).items
        assert isinstance(document, DocumentItem)
        assert document.flags == (Flag.DATE_UNREADABLE,)
        assert isinstance(item, ImmunizationItem) and item.given_on is None

    def test_the_name_may_stand_in_the_narrative(self) -> None:
        material = (
            '<code code="33" codeSystem="2.16.840.1.113883.12.292">'
            '<originalText><reference value="#v1"/></originalText></code>'
        )
        text = '<content ID="v1">Pneumo  <b>23</b></content>'
        item = one(section("11369-6", vaccine(material=material), text=text))
        assert isinstance(item, ImmunizationItem)
        assert item.vaccine_label == "Pneumo 23"
        assert item.codings == (Coding("http://hl7.org/fhir/sid/cvx", "33"),)

    def test_a_vaccine_without_code_but_with_a_name_is_a_dose(self) -> None:
        item = dose(vaccine(material="<name>BCG</name>"))
        assert (item.vaccine_label, item.codings) == ("BCG", ())

    @pytest.mark.parametrize(
        ("template", "code", "section_code"),
        [
            ("1.3.6.1.4.1.19376.1.5.3.1.4.12", "", "X"),
            ("2.16.840.1.113883.10.20.22.4.52", "", "X"),
            ("1.2.3", '<code code="BOOSTER"/>', "X"),
            ("1.2.3", "", "11369-6"),
        ],
    )
    def test_how_a_dose_is_recognized(self, template: str, code: str, section_code: str) -> None:
        item = one(section(section_code, vaccine(template=template, code=code)))
        assert isinstance(item, ImmunizationItem)

    def test_other_medicines_are_no_vaccines(self) -> None:
        assert items(section("X", vaccine(template="1.2.3", code='<code code="DRUG"/>'))) == ()

    def test_antigens_within_a_dose_are_no_doses(self) -> None:
        part = f'<entryRelationship typeCode="COMP">{vaccine()}</entryRelationship>'
        assert isinstance(one(section("11369-6", vaccine(more=part))), ImmunizationItem)

    def test_the_same_entry_id_twice_makes_two_keys(self) -> None:
        own = '<id root="41DAC707-7C96-47B7-B600-AC63D8002142"/>'
        text = vaccine(code=own)
        one_key, other = (item.source_key for item in items(section("11369-6", text, text)))
        assert one_key == "1.2.3.4^doc-1#41DAC707-7C96-47B7-B600-AC63D8002142"
        assert other == f"{one_key}/2"


def observation(
    value: str,
    *,
    code: str = '<code code="282291009" codeSystem="2.16.840.1.113883.6.96"/>',
    attributes: str = 'classCode="OBS" moodCode="EVN"',
    time: str = '<effectiveTime><low value="20190811"/></effectiveTime>',
    more: str = "",
) -> str:
    return (
        f'<observation {attributes}>{code}<statusCode code="completed"/>{time}{value}{more}'
        "</observation>"
    )


def concern(held: str, status: str = "active") -> str:
    return (
        f'<act classCode="ACT" moodCode="EVN"><statusCode code="{status}"/>'
        f'<entryRelationship typeCode="SUBJ">{held}</entryRelationship></act>'
    )


def status(code: str) -> str:
    return (
        '<entryRelationship typeCode="REFR"><observation classCode="OBS" moodCode="EVN">'
        f'<code code="33999-4"/><value xsi:type="CE" code="{code}"/></observation>'
        "</entryRelationship>"
    )


ANGINA = (
    '<value xsi:type="CD" code="I20.0" codeSystem="2.16.840.1.113883.6.3" displayName="Angine"/>'
)
SUBJECT = '<subject><relatedSubject classCode="PRS"><code code="MTH" displayName="Mère"/></relatedSubject></subject>'


def entry(text: str, code: str = "11450-4") -> EntryItem:
    item = one(section(code, text))
    assert isinstance(item, EntryItem)
    return item


class TestProblems:
    def test_an_active_problem(self) -> None:
        item = entry(concern(observation(ANGINA)))
        assert (item.section, item.status) == (Section.CONDITIONS, EntryStatus.ACTIVE)
        assert (item.label, item.started_on) == ("Angine", PartialDate("2019-08-11"))
        assert item.codings == (Coding("http://hl7.org/fhir/sid/icd-10", "I20.0", "Angine"),)

    def test_a_past_problem_is_resolved(self) -> None:
        assert entry(concern(observation(ANGINA)), "11348-0").status is EntryStatus.RESOLVED

    def test_an_end_resolves_and_a_stated_status_decides(self) -> None:
        ended = '<effectiveTime><low value="2018"/><high value="201904"/></effectiveTime>'
        item = entry(concern(observation(ANGINA, time=ended)))
        assert (item.status, item.ended_on) == (EntryStatus.RESOLVED, PartialDate("2019-04"))
        item = entry(concern(observation(ANGINA, time=ended, more=status("55561003"))))
        assert item.status is EntryStatus.ACTIVE

    def test_an_end_before_the_start_is_left_out(self) -> None:
        wrong = '<effectiveTime><low value="2018"/><high value="2017"/></effectiveTime>'
        item = entry(concern(observation(ANGINA, time=wrong)))
        assert (item.started_on, item.ended_on) == (PartialDate("2018"), None)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (observation(ANGINA, attributes='moodCode="EVN" negationInd="true"'), Reason.NOT_DONE),
            (observation(ANGINA, more=SUBJECT), Reason.NOT_SUPPORTED),
            (
                observation("<value><originalText>Angine</originalText></value>"),
                Reason.NOT_SUPPORTED,
            ),
            (
                observation('<value code="X" codeSystem="1.2" displayName="Aucun antécédent"/>'),
                Reason.NOT_SUPPORTED,
            ),
        ],
    )
    def test_what_is_no_certain_problem(self, text: str, reason: Reason) -> None:
        item = one(section("11450-4", concern(text)))
        assert isinstance(item, Skipped)
        assert item.reason is reason

    def test_a_section_about_somebody_else_says_nothing_of_the_patient(self) -> None:
        text = section("11450-4", concern(observation(ANGINA)))
        about_mother = text.replace("<text></text>", f"<text></text>{SUBJECT}")
        item = one(about_mother)
        assert isinstance(item, Skipped) and item.reason is Reason.NOT_SUPPORTED

    @pytest.mark.parametrize(
        "text",
        [
            observation(
                '<value code="no-known-problems" codeSystem="2.16.840.1.113883.5.1150.1"/>'
            ),
            observation('<value code="160245001" codeSystem="2.16.840.1.113883.6.96"/>'),
            observation(
                '<value code="55607006" codeSystem="2.16.840.1.113883.6.96"/>',
                attributes='moodCode="EVN" negationInd="true"',
            ),
        ],
    )
    def test_nothing_to_declare(self, text: str) -> None:
        item = one(section("11450-4", concern(text)))
        assert isinstance(item, NothingToDeclareItem)
        assert (item.section, item.document) == (Section.CONDITIONS, "1.2.3.4^doc-1")

    def test_denying_that_there_is_none_declares_nothing(self) -> None:
        double = observation('<value code="no-known-problems" codeSystem="1.2"/>').replace(
            'moodCode="EVN"', 'moodCode="EVN" negationInd="true"'
        )
        item = one(section("11450-4", concern(double)))
        assert isinstance(item, Skipped) and item.reason is Reason.NOT_DONE

    def test_nothing_to_declare_beside_a_problem_is_a_contradiction(self) -> None:
        nothing = observation('<value code="no-known-problems" codeSystem="1.2"/>')
        found = items(section("11450-4", concern(nothing), concern(observation(ANGINA))))
        assert [type(item) for item in found] == [EntryItem]


def agent(
    code: str = 'code="7982" codeSystem="2.16.840.1.113883.6.88" displayName="Penicillin"',
) -> str:
    return (
        '<participant typeCode="CSM"><participantRole classCode="MANU"><playingEntity '
        f'classCode="MMAT"><code {code}/></playingEntity></participantRole></participant>'
    )


ALLERGY = '<value xsi:type="CD" code="419199007" codeSystem="2.16.840.1.113883.6.96"/>'
DRUG_ALLERGY = ALLERGY.replace("419199007", "416098002")
NEGATED = 'classCode="OBS" moodCode="EVN" negationInd="true"'


class TestAllergies:
    def test_an_allergy(self) -> None:
        reaction = (
            '<entryRelationship typeCode="MFST"><observation moodCode="EVN"><value code="247472004" '
            'codeSystem="2.16.840.1.113883.6.96" displayName="Hives"/></observation>'
            "</entryRelationship>"
            '<entryRelationship typeCode="SUBJ"><observation moodCode="EVN"><code code="82606-5"/>'
            '<value code="CRITH"/></observation></entryRelationship>'
        )
        item = entry(concern(observation(DRUG_ALLERGY, more=agent() + reaction)), "48765-2")
        assert (item.section, item.status) == (Section.ALLERGIES, EntryStatus.ACTIVE)
        assert item.label == "Penicillin"
        assert item.codings[0].system == "http://www.nlm.nih.gov/research/umls/rxnorm"
        assert item.details == {
            "category": "medication",
            "reaction": "Hives",
            "criticality": "high",
        }

    @pytest.mark.parametrize(
        "text",
        [
            observation(ALLERGY, attributes=NEGATED),
            observation(ALLERGY, attributes=NEGATED, more=agent('nullFlavor="NA"')),
            observation(
                ALLERGY,
                attributes=NEGATED,
                more=agent('code="105590001" codeSystem="1" displayName="Substance"'),
            ),
            observation('<value code="716186003" codeSystem="2.16.840.1.113883.6.96"/>'),
            observation(ALLERGY, more=agent('code="no-known-allergies" codeSystem="1.2"')),
        ],
    )
    def test_no_known_allergy(self, text: str) -> None:
        item = one(section("48765-2", concern(text)))
        assert isinstance(item, NothingToDeclareItem)
        assert item.section is Section.ALLERGIES

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (observation(ALLERGY, attributes=NEGATED, more=agent()), Reason.NOT_DONE),
            # No allergy to medicines leaves food and all the rest open.
            (observation(DRUG_ALLERGY, attributes=NEGATED), Reason.NOT_DONE),
            (observation(DRUG_ALLERGY), Reason.NOT_SUPPORTED),
            (
                observation(ALLERGY, more=agent('code="1" codeSystem="1.2" displayName="NKDA"')),
                Reason.NOT_SUPPORTED,
            ),
            (
                observation(ALLERGY, more=agent('code="no-allergy-info" codeSystem="1.2"')),
                Reason.NOT_SUPPORTED,
            ),
        ],
    )
    def test_what_is_no_certain_allergy(self, text: str, reason: Reason) -> None:
        item = one(section("48765-2", concern(text)))
        assert isinstance(item, Skipped)
        assert item.reason is reason

    def test_denying_one_allergy_leaves_the_others_open(self) -> None:
        penicillin = ALLERGY.replace("419199007", "91936005")
        item = one(section("48765-2", concern(observation(penicillin, attributes=NEGATED))))
        assert isinstance(item, Skipped) and item.reason is Reason.NOT_DONE

    def test_a_void_concern_takes_what_it_holds_with_it(self) -> None:
        held = observation(DRUG_ALLERGY, more=agent())
        item = one(section("48765-2", concern(held, "nullified")))
        assert isinstance(item, Skipped) and item.reason is Reason.ENTERED_IN_ERROR
        negated = concern(held).replace("<act ", '<act negationInd="true" ')
        item = one(section("48765-2", negated))
        assert isinstance(item, Skipped) and item.reason is Reason.NOT_DONE

    def test_severity_beside_an_allergy_is_no_allergy(self) -> None:
        severity = observation(
            '<value code="371924009" codeSystem="1.2" displayName="Moderate"/>',
            code='<code code="SEV"/>',
        )
        assert items(section("48765-2", concern(severity))) == ()


class TestTreatments:
    def medicine(self, **changes: str) -> str:
        return vaccine(template="1.2.250.1.213.1.1.3.42", code='<code code="DRUG"/>', **changes)

    @pytest.mark.parametrize("code", ["10160-0", "10183-2"])
    def test_lists_of_medicines(self, code: str) -> None:
        item = entry(self.medicine(), code)
        assert (item.section, item.label) == (Section.TREATMENTS, "VACCIN BCG")
        assert item.details == {"kind": "statement"}

    @pytest.mark.parametrize("code", ["57828-6", "18610-6", "60590-7"])
    def test_prescriptions_and_dispensations_are_not_what_is_taken(self, code: str) -> None:
        assert items(section(code, self.medicine())) == ()

    def test_a_planned_medicine_says_so(self) -> None:
        item = entry(self.medicine(attributes='moodCode="INT"', status="active"), "10160-0")
        assert (item.status, item.details["intent"]) == (EntryStatus.ACTIVE, "plan")

    def test_no_medicines(self) -> None:
        none = self.medicine(material='<code code="no-known-medications" codeSystem="1.2"/>')
        item = one(section("10160-0", none))
        assert isinstance(item, NothingToDeclareItem) and item.section is Section.TREATMENTS
        unsaid = self.medicine(attributes='moodCode="EVN" negationInd="true"', material="")
        assert isinstance(one(section("10160-0", unsaid)), NothingToDeclareItem)

    def test_a_negated_medicine_is_none(self) -> None:
        item = one(
            section("10160-0", self.medicine(attributes='moodCode="EVN" negationInd="true"'))
        )
        assert isinstance(item, Skipped) and item.reason is Reason.NOT_DONE


class TestHistory:
    CODE = '<code code="DDAF004" codeSystem="1.2.250.1.215.300.1" displayName="Dilatation"/>'

    def procedure(self, attributes: str, state: str = "completed") -> str:
        return (
            f'<procedure classCode="PROC" {attributes}>{self.CODE}<statusCode code="{state}"/>'
            '<effectiveTime value="20180114"/></procedure>'
        )

    def test_a_procedure_that_was_done(self) -> None:
        item = entry(self.procedure('moodCode="EVN"'), "47519-4")
        assert (item.section, item.label) == (Section.PROCEDURES, "Dilatation")
        assert (item.status, item.started_on) == (EntryStatus.RESOLVED, PartialDate("2018-01-14"))

    def test_procedures_that_were_not_done(self) -> None:
        assert items(section("47519-4", self.procedure('moodCode="INT"'))) == ()
        item = one(section("47519-4", self.procedure('moodCode="EVN" negationInd="true"')))
        assert isinstance(item, Skipped) and item.reason is Reason.NOT_DONE
        item = one(section("47519-4", self.procedure('moodCode="EVN"', "aborted")))
        assert isinstance(item, Skipped) and item.reason is Reason.NOT_DONE

    def test_family_history_names_the_relative(self) -> None:
        organizer = (
            f'<organizer classCode="CLUSTER" moodCode="EVN">{SUBJECT}'
            f"<component>{observation(ANGINA)}</component></organizer>"
        )
        item = entry(organizer, "10157-6")
        assert (item.section, item.label) == (Section.FAMILY_HISTORY, "Angine")
        assert item.details == {"relationship": "Mère"}

    def test_habits(self) -> None:
        code = '<code code="74011-8" codeSystem="2.16.840.1.113883.6.1" displayName="Tabac"/>'
        text = observation('<value xsi:type="PQ" value="25" unit="{pack}/a"/>', code=code)
        item = entry(text, "29762-2")
        assert (item.section, item.details) == (Section.LIFESTYLE, {"answer": "25 pack/a"})
        other = text.replace("74011-8", "11345-6")
        assert items(section("29762-2", other)) == ()


class TestMeasurements:
    def sign(self, value: str, **changes: str) -> str:
        code = '<code code="29463-7" codeSystem="2.16.840.1.113883.6.1" displayName="Poids"/>'
        held = observation(value, code=code, **changes)
        return (
            '<organizer classCode="CLUSTER" moodCode="EVN"><effectiveTime value="20210211"/>'
            f"<component>{held}</component></organizer>"
        )

    def test_a_vital_sign(self) -> None:
        text = self.sign('<value xsi:type="PQ" value="3.90" unit="kg"/>', time="")
        item = entry(text, "8716-3")
        assert (item.section, item.label) == (Section.MEASUREMENTS, "Poids")
        assert (item.value, item.unit) == (Decimal("3.90"), "kg")
        assert item.started_on == PartialDate("2021-02-11")

    @pytest.mark.parametrize(
        "text",
        [
            '<value xsi:type="PQ" nullFlavor="UNK"/>',
            '<value xsi:type="ST">lourd</value>',
            '<value xsi:type="PQ" value="1e9" unit="kg"/>',
            '<value xsi:type="PQ" value="NaN" unit="kg"/>',
            "",
        ],
    )
    def test_only_numbers(self, text: str) -> None:
        assert items(section("8716-3", self.sign(text))) == ()

    def test_a_negated_sign_is_none(self) -> None:
        text = self.sign('<value value="3" unit="kg"/>', attributes=NEGATED)
        assert items(section("8716-3", text)) == ()
