"""What happened to the sandbox's holders: invented, and chosen to make every feature visible."""

from __future__ import annotations

from dataclasses import dataclass

from carnet.sandbox.personas import Place

LOINC = "http://loinc.org"


@dataclass(frozen=True, slots=True)
class Letter:
    """A document. ``replaces`` is the slug of the version before; ``labels`` are confidentiality
    codes, the French visibility codes among them."""

    slug: str
    written_at: str
    type: str  # LOINC
    title: str
    place: Place
    author: str | None  # handle of the practitioner
    lines: tuple[str, ...]
    replaces: str | None = None
    labels: tuple[str, ...] = ("N",)


@dataclass(frozen=True, slots=True)
class Dose:
    """A vaccination; ``given_on`` may be partial, None is «done, date unknown»."""

    slug: str
    atc: str
    label: str
    given_on: str | None
    rank: int | None = None
    lot: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """One FHIR resource of the profile, its own fields as FHIR names them."""

    slug: str
    resource: str
    text: str
    fields: dict[str, object]


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of a holder."""

    letters: tuple[Letter, ...] = ()
    doses: tuple[Dose, ...] = ()
    facts: tuple[Fact, ...] = ()


def _active(onset: str) -> dict[str, object]:
    return {"clinicalStatus": {"coding": [{"code": "active"}]}, "onsetDateTime": onset}


def _measure(code: str, value: float, unit: str, on: str) -> dict[str, object]:
    return {
        "status": "final",
        "category": [{"coding": [{"code": "vital-signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "effectiveDateTime": on,
        "valueQuantity": {"value": value, "unit": unit, "code": unit},
    }


_INFANT = (
    Dose("hexa1", "J07CA09", "Vaccin hexavalent DTCaPHibHepB", "2026-05-18", 1, "HX2605A"),
    Dose("pneumo1", "J07AL02", "Vaccin pneumococcique conjugué", "2026-05-18", 1, "PN2605B"),
    Dose("hexa2", "J07CA09", "Vaccin hexavalent DTCaPHibHepB", "2026-07-20", 2, "HX2607C"),
    Dose("pneumo2", "J07AL02", "Vaccin pneumococcique conjugué", "2026-07-20", 2, "PN2607D"),
)

HISTORIES: dict[str, History] = {
    "camille": History(
        letters=(
            Letter(
                "echo-t2",
                "2025-11-20T10:30:00+01:00",
                "18748-4",
                "Échographie du deuxième trimestre",
                Place.IMAGING,
                "faure",
                (
                    "Grossesse monofoetale évolutive de 22 semaines.",
                    "Biométrie dans la norme. Pas d'anomalie décelée.",
                ),
            ),
            Letter(
                "sortie-maternite",
                "2026-03-20T14:00:00+01:00",
                "34105-7",
                "Lettre de liaison à la sortie de maternité",
                Place.HOSPITAL,
                None,
                ("Accouchement par voie basse le 17 mars 2026.", "Suites simples."),
            ),
            Letter(
                "bilan-v1",
                "2026-09-14T09:10:00+02:00",
                "11502-2",
                "Bilan sanguin",
                Place.LABORATORY,
                None,
                ("Hémoglobine : 11,2 g/dL.", "Ferritine : 14 µg/L."),
            ),
            Letter(
                "bilan-v2",
                "2026-09-15T16:40:00+02:00",
                "11502-2",
                "Bilan sanguin (corrigé)",
                Place.LABORATORY,
                None,
                ("Hémoglobine : 12,1 g/dL.", "Ferritine : 14 µg/L.", "Corrige la version du 14."),
                replaces="bilan-v1",
            ),
        ),
        doses=(
            Dose("dtp", "J07CA02", "Rappel dTcaP", "2020-06-05", None, "RP2006"),
            Dose("ror1", "J07BD52", "Vaccin rougeole oreillons rubéole", "1996", 1),
            Dose("grippe", "J07BB02", "Vaccin contre la grippe", "2025-10-22", None, "GR2510"),
        ),
        facts=(
            Fact(
                "penicilline",
                "AllergyIntolerance",
                "Allergie à la pénicilline",
                {
                    "clinicalStatus": {"coding": [{"code": "active"}]},
                    "category": ["medication"],
                    "criticality": "high",
                    "onsetDateTime": "2011",
                },
            ),
            Fact("anemie", "Condition", "Anémie par carence en fer", _active("2026-09")),
        ),
    ),
    "lea": History(
        letters=(
            Letter(
                "certificat-24",
                "2024-06-10T11:00:00+02:00",
                "CERT_DECL",
                "Certificat de santé du vingt-quatrième mois",
                Place.PRACTICE,
                "bernard",
                ("Développement conforme à l'âge.", "Vaccinations à jour."),
            ),
        ),
        doses=(
            Dose("hexa1", "J07CA09", "Vaccin hexavalent DTCaPHibHepB", "2022-08-05", 1, "HX2208A"),
            Dose("hexa2", "J07CA09", "Vaccin hexavalent DTCaPHibHepB", "2022-10-07", 2, "HX2210A"),
            Dose("hexa3", "J07CA09", "Vaccin hexavalent DTCaPHibHepB", "2023-05-12", 3, "HX2305A"),
            Dose("ror1", "J07BD52", "Vaccin rougeole oreillons rubéole", "2023-06-09", 1, "RR2306"),
            Dose("ror2", "J07BD52", "Vaccin rougeole oreillons rubéole", "2023-11-10", 2, "RR2311"),
        ),
        facts=(
            Fact(
                "taille",
                "Observation",
                "Taille",
                _measure("8302-2", 104.0, "cm", "2026-06-12"),
            ),
            Fact("poids", "Observation", "Poids", _measure("29463-7", 16.4, "kg", "2026-06-12")),
            Fact(
                "aucune-allergie",
                "AllergyIntolerance",
                "Aucune allergie connue",
                {
                    "clinicalStatus": {"coding": [{"code": "active"}]},
                    "code": {
                        "coding": [{"system": "http://snomed.info/sct", "code": "716186003"}],
                        "text": "Aucune allergie connue",
                    },
                },
            ),
        ),
    ),
    "hugo": History(
        letters=(
            Letter(
                "certificat-8j",
                "2026-03-24T10:00:00+01:00",
                "CERT_DECL",
                "Premier certificat de santé",
                Place.HOSPITAL,
                None,
                ("Naissance à 39 semaines, 3 380 g.", "Examen normal."),
            ),
        ),
        doses=_INFANT,
    ),
    "marc": History(
        letters=(
            Letter(
                "scanner",
                "2026-02-03T15:20:00+01:00",
                "18748-4",
                "Scanner thoracique",
                Place.IMAGING,
                "faure",
                ("Pas d'image suspecte.", "Emphysème débutant des sommets."),
            ),
            Letter(
                "ordonnance",
                "2026-02-10T09:00:00+01:00",
                "57833-6",
                "Ordonnance",
                Place.PRACTICE,
                "bernard",
                ("Ramipril 5 mg : un comprimé le matin, trois mois.",),
            ),
            Letter(
                "anapath",
                "2026-11-16T17:45:00+01:00",
                "11526-1",
                "Compte rendu d'anatomopathologie",
                Place.HOSPITAL,
                None,
                ("Résultat à annoncer en consultation.",),
                labels=("N", "INVISIBLE_PATIENT"),
            ),
        ),
        doses=(
            Dose("dtp", "J07CA01", "Rappel dTP", "1999-02-26"),
            Dose("covid", "J07BN01", "Vaccin contre la Covid-19", "2021-06-11", 1, "CV2106"),
            Dose("hepatite-b", "J07BC01", "Vaccin contre l'hépatite B", None, 1, "HB92"),
        ),
        facts=(
            Fact("hta", "Condition", "Hypertension artérielle", _active("2019-05")),
            Fact(
                "ramipril",
                "MedicationStatement",
                "Ramipril 5 mg",
                {
                    "status": "active",
                    "medicationCodeableConcept": {
                        "text": "Ramipril 5 mg",
                        "coding": [{"system": "http://www.whocc.no/atc", "code": "C09AA05"}],
                    },
                    "effectivePeriod": {"start": "2019-05"},
                    "dosage": [{"text": "Un comprimé le matin"}],
                },
            ),
            Fact(
                "tabac",
                "Observation",
                "Tabac",
                {
                    "status": "final",
                    "category": [{"coding": [{"code": "social-history"}]}],
                    "code": {"coding": [{"system": LOINC, "code": "72166-2"}], "text": "Tabac"},
                    "effectiveDateTime": "2026-02-10",
                    "valueString": "20 cigarettes par jour depuis 1994",
                },
            ),
            Fact(
                "pas",
                "Observation",
                "Pression artérielle systolique",
                _measure("8480-6", 142, "mm[Hg]", "2026-02-10"),
            ),
            Fact(
                "pere",
                "FamilyMemberHistory",
                "Cancer colorectal",
                {
                    "status": "completed",
                    "relationship": {"text": "père"},
                    "condition": [{"code": {"text": "Cancer colorectal"}}],
                },
            ),
        ),
    ),
    "jeanne": History(
        letters=(
            Letter(
                "mammographie",
                "2022-04-06T10:15:00+02:00",
                "24606-6",
                "Mammographie de dépistage",
                Place.IMAGING,
                "faure",
                ("Aspect normal, ACR 1.",),
            ),
        ),
        doses=(Dose("grippe", "J07BB02", "Vaccin contre la grippe", "2026-10-19", None, "GR2610"),),
        facts=(
            Fact("arthrose", "Condition", "Arthrose du genou droit", _active("2015")),
            Fact(
                "prothese",
                "Procedure",
                "Prothèse totale de genou",
                {"status": "completed", "performedDateTime": "2018-11-06"},
            ),
        ),
    ),
    "andre": History(
        letters=(
            Letter(
                "hospitalisation",
                "2026-08-28T16:00:00+02:00",
                "34105-7",
                "Lettre de liaison à la sortie de cardiologie",
                Place.HOSPITAL,
                None,
                ("Décompensation cardiaque traitée.", "Retour à domicile avec infirmière."),
            ),
            Letter(
                "synthese",
                "2026-09-08T11:30:00+02:00",
                "SYNTH",
                "Volet de synthèse médicale",
                Place.PRACTICE,
                "bernard",
                ("Insuffisance cardiaque, diabète de type 2.", "Aidante : son épouse."),
            ),
        ),
        facts=(
            Fact("coeur", "Condition", "Insuffisance cardiaque", _active("2021-10")),
            Fact("diabete", "Condition", "Diabète de type 2", _active("2008")),
            Fact(
                "metformine",
                "MedicationRequest",
                "Metformine 850 mg",
                {
                    "status": "active",
                    "intent": "order",
                    "authoredOn": "2026-09-08",
                    "medicationCodeableConcept": {"text": "Metformine 850 mg"},
                    "dosageInstruction": [{"text": "Un comprimé matin et soir"}],
                },
            ),
            Fact(
                "hba1c",
                "Observation",
                "Hémoglobine glyquée",
                {
                    "status": "final",
                    "category": [{"coding": [{"code": "laboratory"}]}],
                    "code": {"coding": [{"system": LOINC, "code": "4548-4"}], "text": "HbA1c"},
                    "effectiveDateTime": "2026-08-20",
                    "valueQuantity": {"value": 7.4, "unit": "%", "code": "%"},
                },
            ),
            Fact(
                "sejour",
                "Encounter",
                "Séjour en cardiologie",
                {
                    "status": "finished",
                    "class": {"code": "IMP"},
                    "type": [{"text": "Séjour en cardiologie"}],
                    "period": {"start": "2026-08-19", "end": "2026-08-28"},
                },
            ),
        ),
    ),
}
