"""Small bodies as publishers send them: CDA documents and HL7 v2 messages, written here."""

from __future__ import annotations

from base64 import b64encode

INS = "1.2.250.1.213.1.4.10"
PDF = b"%PDF-1.4\n% a page\n%%EOF\n"

HEADER = """
  <realmCode code="FR"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <templateId root="1.2.250.1.213.1.1.1.1"/>
  <id root="1.2.3.4" extension="doc-1"/>
  <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Synthèse"/>
  <title>Synthèse d'essai</title>
  <effectiveTime value="20240301101500+0100"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="fr-FR"/>"""

PATIENT = f"""
  <recordTarget><patientRole>
    <id root="{INS}" extension="279035121518989"/>
    <patient>
      <name><family qualifier="BR">MARTIN</family><given qualifier="BR">Claire</given></name>
      <administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>
      <birthTime value="19790328"/>
    </patient>
  </patientRole></recordTarget>"""

AUTHOR = """
  <author><time value="20240301"/><assignedAuthor>
    <id root="1.2.250.1.71.4.2.1" extension="810000000001"/>
    <assignedPerson><name><family>DURAND</family><given>Paul</given></name></assignedPerson>
  </assignedAuthor></author>"""


def cda(
    body: str = "",
    *,
    header: str = HEADER,
    patient: str = PATIENT,
    rest: str = "",
    declaration: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> bytes:
    """Return a CDA document; ``rest`` follows the author in the header."""
    return (
        f'{declaration}<ClinicalDocument xmlns="urn:hl7-org:v3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:sdtc="urn:hl7-org:sdtc">'
        f"{header}{patient}{AUTHOR}{rest}{body}</ClinicalDocument>"
    ).encode()


def structured(*sections: str) -> str:
    """Return a structured body."""
    held = "".join(f"<component>{section}</component>" for section in sections)
    return f"<component><structuredBody>{held}</structuredBody></component>"


def section(code: str, *entries: str, text: str = "") -> str:
    """Return a section with a LOINC code."""
    held = "".join(f"<entry>{entry}</entry>" for entry in entries)
    return (
        f'<section><code code="{code}" codeSystem="2.16.840.1.113883.6.1"/>'
        f"<text>{text}</text>{held}</section>"
    )


def flat(content: bytes = PDF, media_type: str = "application/pdf") -> str:
    """Return an unstructured body with embedded content."""
    data = b64encode(content).decode()
    return (
        f'<component><nonXMLBody><text mediaType="{media_type}" representation="B64">'
        f"{data}</text></nonXMLBody></component>"
    )


MSH = (
    r"MSH|^~\&|RIS|Clinique|PFI|Clinique|202403011015||{kind}|{control}|P|2.6|||||FRA|"
    "UNICODE UTF-8|||2.1^CISIS_CDA_HL7_V2"
)
PID = f"PID|||279035121518989^^^ASIP-SANTE-INS-NIR&{INS}&ISO^INS||MARTIN^Claire^Claire^^^^L||19790328|F"


def message(kind: str, *segments: str, control: str = "1", end: str = "\r") -> bytes:
    """Return an HL7 v2 message with its MSH."""
    return (end.join([MSH.format(kind=kind, control=control), *segments]) + end).encode()


def mdm(
    event: str,
    document: bytes,
    *,
    unique_id: str = "1.2.3.4^^",
    parent: str = "",
    state: str = "F",
    pid: str = PID,
    flags: dict[str, str] | None = None,
    end: str = "\r",
) -> bytes:
    """Return an MDM message that wraps a document, as French software sends it."""
    data = b64encode(document).decode()
    observations = [
        f"OBX|{n}|CWE|{name}^x^MetaDMPMSS||{answer}^^expandedYes-NoIndicator||||||F|"
        for n, (name, answer) in enumerate((flags or {}).items(), 2)
    ]
    return message(
        f"MDM^{event}^MDM_T02",
        pid,
        "PV1|1|I|UF",
        f"TXA|1|34133-9|TEXT|202403011015||||||||{unique_id}|{parent}||||AU",
        f"OBX|1|ED|34133-9^Synthese^LN||^text^XML^Base64^{data}||||||{state}|",
        *observations,
        end=end,
    )
