"""The words with which an archive begins, in French and English."""

from __future__ import annotations

from datetime import UTC, datetime

_TEXT = """\
CARNET — export d'un dossier de santé — {day}
=============================================

Cette archive contient tout ce que la personne qui l'a demandée pouvait voir du dossier.
Elle est confidentielle : conservez-la et transmettez-la avec prudence.

summary.json          Résumé international du patient (International Patient Summary, HL7 FHIR R4),
                      que les logiciels de santé savent lire. Les sections très longues y sont
                      limitées aux éléments les plus récents ; ce qui a été réfuté n'y figure pas.
profile.json          Le profil médical complet : chaque élément, avec qui l'a déclaré et quand.
documents/            Les documents dans leur version actuelle, tels qu'ils ont été déposés.
documents/index.json  Leurs métadonnées, versions antérieures comprises. « file » donne le fichier
                      de l'archive ; « isUnreadable » signale un contenu endommagé, absent d'ici.
journal.json          Le journal des accès, s'il vous est ouvert.

Les heures sont en temps universel (UTC). Tous les fichiers JSON sont en UTF-8.


CARNET — export of a health record — {day}
==========================================

This archive holds everything that the person who asked for it could see of the record.
It is confidential: keep it and pass it on with care.

summary.json          International Patient Summary (HL7 FHIR R4), which health software can read.
                      Very long sections are limited to the latest entries there; what was refuted
                      is left out.
profile.json          The whole medical profile: each entry, with who stated it and when.
documents/            The documents in their current version, exactly as they were deposited.
documents/index.json  Their metadata, former versions too. "file" names the file in the archive;
                      "isUnreadable" tells of a damaged content, which is not here.
journal.json          The access journal, if it is open to you.

Times are in UTC. All JSON files are in UTF-8.
"""


def readme(at: datetime) -> bytes:
    """Return the text, with line ends that every editor understands."""
    text = _TEXT.format(day=at.astimezone(UTC).date().isoformat())
    return text.replace("\n", "\r\n").encode()
