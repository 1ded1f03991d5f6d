"""Code systems and the many names they go by in the field. Pure."""

from __future__ import annotations

CVX = "http://hl7.org/fhir/sid/cvx"
ATC = "http://www.whocc.no/atc"
SNOMED_CT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
CIP = "urn:oid:1.2.250.1.213.2.3.3"
CIS = "urn:oid:1.2.250.1.213.2.3.1"
NUVA = "http://ivci.org/NUVA"
DISEASE = "urn:carnet:disease"

SHORT = {"CVX": CVX, "ATC": ATC, "SNOMED-CT": SNOMED_CT, "CIP": CIP, "CIS": CIS}
"""The names that the shipped tables use."""

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
