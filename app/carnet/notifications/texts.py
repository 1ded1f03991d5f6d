"""What leaves the server in words: that something awaits, never what it says.

No name, no number, no kind of document is ever put into these texts: they go through networks and
onto screens that others see.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet.notifications.tables import Language, NotificationKind

K = NotificationKind

_TITLES: dict[Language, dict[NotificationKind, str]] = {
    Language.FR: {
        K.RECORD_NOTICE: "Un espace santé va être ouvert pour vous",
        K.RECORD_OPENED: "Votre espace santé est ouvert",
        K.RECORD_DELETION_DUE: "Un espace santé va être supprimé",
        K.MAJORITY: "Votre espace santé est à vous seul",
        K.RESULT_AWAITS: "Quelque chose vous attend",
        K.CARE_TEAM_JOINED: "Votre équipe de soins a changé",
        K.CONSENT_ATTESTED: "Un accès à votre espace a été déclaré",
        K.EMERGENCY_ACCESS: "Un accès en urgence a eu lieu",
        K.DELEGATION_ACCEPTED: "Une délégation a été acceptée",
        K.DELEGATION_ENDED: "Une délégation a pris fin",
        K.EXPORT_READY: "Votre export est prêt",
        K.VOLUME_ALARM: "Alerte de volume",
    },
    Language.EN: {
        K.RECORD_NOTICE: "A health space is about to be opened for you",
        K.RECORD_OPENED: "Your health space is open",
        K.RECORD_DELETION_DUE: "A health space is about to be deleted",
        K.MAJORITY: "Your health space is yours alone",
        K.RESULT_AWAITS: "Something awaits you",
        K.CARE_TEAM_JOINED: "Your care team has changed",
        K.CONSENT_ATTESTED: "Access to your space was declared",
        K.EMERGENCY_ACCESS: "There was an access in an emergency",
        K.DELEGATION_ACCEPTED: "A delegation was accepted",
        K.DELEGATION_ENDED: "A delegation has ended",
        K.EXPORT_READY: "Your export is ready",
        K.VOLUME_ALARM: "Volume alarm",
    },
}
_SEE = {
    Language.FR: "Connectez-vous pour en savoir plus : {link}\n\nCe message ne contient"
    " volontairement aucune information de santé.",
    Language.EN: "Sign in to learn more: {link}\n\nThis message holds no health information, on"
    " purpose.",
}
_CODE = {
    Language.FR: (
        "Confirmez votre adresse",
        "Votre code : {code}\n\nIl est valable une heure. Si vous n'avez rien demandé, ignorez ce"
        " message.",
    ),
    Language.EN: (
        "Confirm your address",
        "Your code: {code}\n\nIt is valid for one hour. If you asked for nothing, ignore this"
        " message.",
    ),
}
_CHANGED = {
    Language.FR: (
        "Votre adresse a changé",
        "Vos messages vont désormais à une autre adresse. Si ce n'est pas vous qui l'avez demandé,"
        " connectez-vous : {link}",
    ),
    Language.EN: (
        "Your address has changed",
        "Your messages now go to another address. If you did not ask for this, sign in: {link}",
    ),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A title of a few words and a body of a few lines."""

    title: str
    body: str


def of_notification(kind: NotificationKind, language: Language, link: str) -> Text:
    """Return what a notification says outside the app."""
    return Text(_TITLES[language][kind], _SEE[language].format(link=link))


def of_code(code: str, language: Language) -> Text:
    """Return what brings a code."""
    title, body = _CODE[language]
    return Text(title, body.format(code=code))


def of_change(language: Language, link: str) -> Text:
    """Return what the old address is told."""
    title, body = _CHANGED[language]
    return Text(title, body.format(link=link))
