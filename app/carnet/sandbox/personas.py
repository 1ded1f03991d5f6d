"""Who lives in the sandbox. All invented; the national numbers are of the test range."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from carnet.people.tables import Sex

TEST_INS = "urn:oid:1.2.250.1.213.1.4.10"  # the national identifier's own test range


class Place(StrEnum):
    """Establishments of the sandbox."""

    PRACTICE = "Cabinet médical des Lilas"
    IMAGING = "Centre d'imagerie du Parc"
    PHARMACY = "Pharmacie de la Gare"
    NURSES = "Cabinet infirmier des Lilas"
    LABORATORY = "Laboratoire Boréal"
    HOSPITAL = "Centre hospitalier des Tilleuls"
    EMERGENCY = "Samu de la région Centre"


@dataclass(frozen=True, slots=True)
class Holder:
    """A person with a record. ``handle`` names them to ``carnet token --as``."""

    handle: str
    who: str
    family_name: str
    given_name: str
    birth_date: str
    sex: Sex
    commune: str  # INSEE code of the place of birth
    birth_name: str | None = None

    @property
    def national_number(self) -> str:
        """Return the 15 digits that these traits would have, with the right key."""
        sex = "2" if self.sex is Sex.FEMALE else "1"
        body = f"{sex}{self.birth_date[2:4]}{self.birth_date[5:7]}{self.commune}042"
        return f"{body}{97 - int(body) % 97:02d}"


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A professional. ``profession`` and ``speciality`` are codes of the national lists."""

    handle: str
    who: str
    family_name: str
    given_name: str
    rpps: str
    profession: str  # TRE_G15: 10 physician, 21 pharmacist, 60 nurse
    speciality: str | None  # TRE_R38
    place: Place


@dataclass(frozen=True, slots=True)
class Software:
    """A publisher: the software of an establishment."""

    handle: str
    who: str
    name: str
    place: Place


HOLDERS = (
    Holder(
        "camille",
        "a young mother, 31, of Léa and Hugo",
        "MOREAU",
        "Camille",
        "1995-04-12",
        Sex.FEMALE,
        "45234",
        birth_name="GARNIER",
    ),
    Holder("lea", "her daughter, 4", "MOREAU", "Léa", "2022-06-03", Sex.FEMALE, "45234"),
    Holder("hugo", "her baby son", "MOREAU", "Hugo", "2026-03-17", Sex.MALE, "45234"),
    Holder("marc", "a man of 52", "LEFÈVRE", "Marc", "1974-02-25", Sex.MALE, "37261"),
    Holder(
        "jeanne",
        "a retired woman, 78, who cares for André",
        "PETIT",
        "Jeanne",
        "1948-09-30",
        Sex.FEMALE,
        "18033",
        birth_name="ROUSSEL",
    ),
    Holder(
        "andre", "her husband, 81, cared for", "PETIT", "André", "1945-01-19", Sex.MALE, "18033"
    ),
)

PRACTITIONERS = (
    Practitioner(
        "bernard",
        "a general practitioner",
        "BERNARD",
        "Sophie",
        "10101234564",
        "10",
        "SM26",
        Place.PRACTICE,
    ),
    Practitioner(
        "faure", "a radiologist", "FAURE", "Nicolas", "10102345674", "10", "SM44", Place.IMAGING
    ),
    Practitioner(
        "haddad", "a pharmacist", "HADDAD", "Karim", "10103456785", "21", None, Place.PHARMACY
    ),
    Practitioner("roche", "a nurse", "ROCHE", "Julie", "10104567895", "60", None, Place.NURSES),
    Practitioner(
        "girard",
        "a doctor of the emergency centre",
        "GIRARD",
        "Thomas",
        "10105678907",
        "10",
        "SM25",
        Place.EMERGENCY,
    ),
)

SOFTWARE = (
    Software("lilas", "the software of practices in town", "Logiciel des Lilas", Place.PRACTICE),
    Software("boreal", "a laboratory's software", "Laboratoire Boréal", Place.LABORATORY),
    Software("tilleuls", "a hospital's software", "Hôpital des Tilleuls", Place.HOSPITAL),
)

OPERATOR = "operator"

HANDLES = {
    **{holder.handle: holder.who for holder in HOLDERS},
    **{practitioner.handle: practitioner.who for practitioner in PRACTITIONERS},
    **{software.handle: software.who for software in SOFTWARE},
    OPERATOR: "somebody who runs the service",
}
"""Every name that ``carnet token --as`` knows, and who it is."""
