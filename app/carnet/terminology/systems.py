"""Code systems and the many names they and their codes go by in the field. Pure."""

from __future__ import annotations

CVX = "http://hl7.org/fhir/sid/cvx"
ATC = "http://www.whocc.no/atc"
SNOMED_CT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
CIP = "urn:oid:1.2.250.1.213.2.3.3"
CIS = "urn:oid:1.2.250.1.213.2.3.1"
NUVA = "http://ivci.org/NUVA"
CCAM = "urn:oid:1.2.250.1.215.300.1"
ICD_10_SYSTEMS = frozenset({"http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm"})
ICD_11 = "http://id.who.int/icd/release/11/mms"
NDC = "http://hl7.org/fhir/sid/ndc"
NTIN = "https://www.gs1.org/gtin"  # a national trade item number is one of GS1's
EU_NUMBER = "urn:carnet:eu-number"  # marketing authorisations of the Union have no URI of their own
DISEASE = "urn:carnet:disease"

FACILITY_TYPES = ("urn:oid:1.2.250.1.71.4.2.4", "urn:oid:1.2.250.1.213.1.1.4.6")
"""The systems of the value set JDV_J02-XdsHealthcareFacilityTypeCode-CISIS."""

SHORT = {"CVX": CVX, "ATC": ATC, "SNOMED-CT": SNOMED_CT, "CIP": CIP, "CIS": CIS}
"""The names that the shipped tables use."""

PUBLISHED = {
    **SHORT,
    "NUVA": NUVA,
    "ICD11": ICD_11,
    "NDC": NDC,
    "NTIN": NTIN,
    "EU-NUMBER": EU_NUMBER,
}
"""The names that the nomenclature NUVA uses, of the systems whose codes are looked up."""

_WRITTEN = {uri: name for name, uri in {**PUBLISHED, "LOINC": LOINC, "CCAM": CCAM}.items()}

_ALIASES = {
    "2.16.840.1.113883.12.292": CVX,
    "http://phdsc.org/standards/cvx": CVX,
    "2.16.840.1.113883.6.73": ATC,
    "http://www.whocc.no/atcddd": ATC,
    "https://www.whocc.no/atc": ATC,
    "1.2.250.1.215.200.1.2.1": ATC,
    "1.2.250.1.215.200.1.2.2": ATC,
    "2.16.840.1.113883.6.96": SNOMED_CT,
    "2.16.840.1.113883.6.1": LOINC,
    "1.2.250.1.213.2.3.3": CIP,
    "1.2.250.1.215.200.1.1.1": CIP,
    "1.2.250.1.215.200.1.1.2": CIP,
    "1.2.250.1.213.2.3.2": CIP,
    "1.2.250.1.213.2.3.1": CIS,
    "http://data.esante.gouv.fr/ansm/medicament/codecip": CIP,
    "http://data.esante.gouv.fr/ansm/medicament/codecis": CIS,
    "http://data.esante.gouv.fr/ansm/medicament": CIS,
    "http://ivci.org/nuva": NUVA,
    "1.3.6.1.4.1.48601.1.1.1": NUVA,
    "http://id.who.int/icd11/mms": ICD_11,
    "2.16.840.1.113883.6.347": ICD_11,
    "1.2.250.1.215.200.3.4": CCAM,
    "2.16.840.1.113883.6.69": NDC,
    "http://www.gs1.org/gtin": NTIN,
    "1.3.160": NTIN,
}


def normalize_system(system: str) -> str:
    """Return the one URI of a code system, whichever of its names is given."""
    plain = system.strip().removeprefix("urn:oid:").rstrip("/")
    found = _ALIASES.get(plain.lower())
    if found is not None:
        return found
    if plain[:1].isdigit() and "." in plain and plain.replace(".", "").isdigit():
        return f"urn:oid:{plain}"
    return system.strip()


def short_name(system: str) -> str:
    """Return the name that files use for a code system, or its URI where they have none."""
    return _WRITTEN.get(normalize_system(system), system)


def plain_code(system: str, code: str) -> str:
    """Return the one writing of a code, whichever of its usual writings is given.

    The codes of three systems are written in more ways than one: a European number with slashes
    or hyphens, a trade item with a leading zero, an American drug code as product or as package
    (the product is kept, without hyphens; one of ten digits without hyphens is ambiguous).

    Args:
        system: as `normalize_system` returns it.
        code: without a prefix that names the system.
    """
    if system == EU_NUMBER:
        return code.replace("/", "-").upper()
    if system == NTIN:
        return code[1:] if len(code) == 14 and code.startswith("0") else code
    if system == NDC:
        labeler, _, rest = code.partition("-")
        if rest:
            return labeler.zfill(5) + rest.partition("-")[0].zfill(4)
        return code[:9] if len(code) == 11 else code
    return code
