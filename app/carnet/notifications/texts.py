"""Every text that is sent, in French and English.

They say that something awaits and what kind of thing to do. No value of a record, a document or a
person is ever put into one: a mailbox and a lock screen are read by others. The only things filled
in are the address of the app and a code.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet.notifications.tables import DeliveryMessage, Locale, NotificationKind

K = NotificationKind


@dataclass(frozen=True, slots=True)
class Text:
    """A subject or title, and a body without the link."""

    title: str
    body: str


_NOTIFICATIONS: dict[Locale, dict[NotificationKind, Text]] = {
    Locale.FR: {
        K.RECORD_NOTICE: Text(
            "Information sur l’ouverture d’un carnet de santé",
            "Un carnet de santé va être ouvert. Vous pouvez vous y opposer dans un délai limité :"
            " lisez l’information qui vous attend.",
        ),
        K.RECORD_OPENED: Text(
            "Un carnet de santé est ouvert",
            "Un carnet de santé est ouvert. Connectez-vous pour le consulter et le régler.",
        ),
        K.RECORD_DELETION_DUE: Text(
            "Une suppression approche",
            "Un carnet de santé sera bientôt supprimé. Vous pouvez encore l’éviter :"
            " connectez-vous.",
        ),
        K.MAJORITY: Text(
            "Votre carnet de santé ne dépend plus que de vous",
            "C’est désormais vous qui décidez de votre carnet de santé. Connectez-vous pour"
            " vérifier vos réglages.",
        ),
        K.RESULT_AWAITS: Text(
            "Quelque chose vous attend",
            "Quelque chose vous attend dans le carnet de santé. Un professionnel qui vous suit"
            " peut vous en parler.",
        ),
        K.CARE_TEAM_JOINED: Text(
            "Une équipe de soins a changé",
            "Un professionnel a rejoint une équipe de soins. Connectez-vous pour voir qui, et vous"
            " y opposer si vous le souhaitez.",
        ),
        K.CONSENT_ATTESTED: Text(
            "Un consentement a été enregistré",
            "Un professionnel a enregistré un consentement. Connectez-vous pour le vérifier, et y"
            " mettre fin si vous le souhaitez.",
        ),
        K.EMERGENCY_ACCESS: Text(
            "Un accès en urgence a eu lieu",
            "Un carnet de santé a été ouvert en urgence. Connectez-vous pour voir par qui et"
            " pourquoi.",
        ),
        K.DELEGATION_ACCEPTED: Text(
            "Une délégation a été acceptée",
            "Une délégation a été acceptée. Connectez-vous pour la voir.",
        ),
        K.DELEGATION_ENDED: Text(
            "Une délégation a pris fin",
            "Une délégation a pris fin. Connectez-vous pour voir laquelle.",
        ),
        K.EXPORT_READY: Text(
            "Une archive est prête",
            "L’archive que vous avez demandée est prête. Elle peut être téléchargée pendant un"
            " temps limité.",
        ),
        K.MESSAGE_AWAITS: Text(
            "Un message vous attend",
            "Un message vous attend. Ouvrez votre messagerie pour le lire.",
        ),
        K.DEVICE_ADDED: Text(
            "Un appareil a été ajouté",
            "Un appareil a été ajouté à votre messagerie. Si ce n’est pas vous, révoquez-le sans"
            " attendre.",
        ),
        K.DEVICE_REVOKED: Text(
            "Un appareil a été révoqué",
            "Un appareil a été révoqué dans votre messagerie. Si ce n’est pas vous, connectez-vous"
            " sans attendre.",
        ),
        K.ROOT_CHANGED: Text(
            "Les clés de votre messagerie changent",
            "Les clés de votre messagerie changent. Si ce n’est pas vous, connectez-vous sans"
            " attendre : vous pouvez encore vous y opposer.",
        ),
        K.ACCOUNT_REPLACED: Text(
            "Votre messagerie a été recommencée",
            "Un nouveau compte de messagerie a remplacé l’ancien. Si ce n’est pas vous,"
            " connectez-vous sans attendre et changez votre mot de passe.",
        ),
        K.BACKUP_FETCHED: Text(
            "Votre sauvegarde de messagerie a été demandée",
            "La sauvegarde qui sert à retrouver votre messagerie a été demandée. Si ce n’est pas"
            " vous, connectez-vous sans attendre et changez votre mot de passe.",
        ),
        K.PREVENTION_DUE: Text(
            "Un rendez-vous de prévention approche",
            "Quelque chose est à faire dans votre calendrier de prévention. Connectez-vous pour"
            " le voir.",
        ),
        K.PREVENTION_CHANGED: Text(
            "Votre calendrier de prévention a changé",
            "Les recommandations ont changé. Connectez-vous pour voir ce que cela change dans"
            " votre calendrier.",
        ),
        K.APPOINTMENT_SOON: Text(
            "Un rappel de votre calendrier",
            "Vous avez demandé un rappel. Connectez-vous pour le voir.",
        ),
        K.VOLUME_ALARM: Text(
            "Une alerte attend les exploitants",
            "Une alerte vous attend. Connectez-vous pour l’examiner.",
        ),
    },
    Locale.EN: {
        K.RECORD_NOTICE: Text(
            "About the opening of a health record",
            "A health record is going to be opened. You can object within a limited time: please"
            " read the notice that awaits you.",
        ),
        K.RECORD_OPENED: Text(
            "A health record is open",
            "A health record is open. Sign in to read it and to set who sees it.",
        ),
        K.RECORD_DELETION_DUE: Text(
            "A deletion is coming up",
            "A health record will soon be deleted. You can still prevent it: sign in.",
        ),
        K.MAJORITY: Text(
            "Your health record is now yours alone",
            "You alone decide about your health record from now on. Sign in to check your"
            " settings.",
        ),
        K.RESULT_AWAITS: Text(
            "Something awaits you",
            "Something awaits you in the health record. A professional who cares for you can tell"
            " you about it.",
        ),
        K.CARE_TEAM_JOINED: Text(
            "A care team has changed",
            "A professional has joined a care team. Sign in to see who, and to object if you wish.",
        ),
        K.CONSENT_ATTESTED: Text(
            "A consent was registered",
            "A professional has registered a consent. Sign in to check it, and to end it if you"
            " wish.",
        ),
        K.EMERGENCY_ACCESS: Text(
            "There was an access in an emergency",
            "A health record was opened in an emergency. Sign in to see by whom and why.",
        ),
        K.DELEGATION_ACCEPTED: Text(
            "A delegation was accepted",
            "A delegation was accepted. Sign in to see it.",
        ),
        K.DELEGATION_ENDED: Text(
            "A delegation has ended",
            "A delegation has ended. Sign in to see which.",
        ),
        K.EXPORT_READY: Text(
            "An archive is ready",
            "The archive that you asked for is ready. It can be downloaded for a limited time.",
        ),
        K.MESSAGE_AWAITS: Text(
            "A message awaits you",
            "A message awaits you. Open your messages to read it.",
        ),
        K.DEVICE_ADDED: Text(
            "A device was added",
            "A device was added to your messages. If it was not you, revoke it at once.",
        ),
        K.DEVICE_REVOKED: Text(
            "A device was revoked",
            "A device of your messages was revoked. If it was not you, sign in at once.",
        ),
        K.ROOT_CHANGED: Text(
            "The keys of your messages are changing",
            "The keys of your messages are changing. If it was not you, sign in at once: you can"
            " still object.",
        ),
        K.ACCOUNT_REPLACED: Text(
            "Your messages have begun anew",
            "A new messaging account has taken the place of the former. If it was not you, sign in"
            " at once and change your password.",
        ),
        K.BACKUP_FETCHED: Text(
            "Your recovery backup was fetched",
            "The backup that your messages are recovered with was fetched. If it was not you, sign"
            " in at once and change your password.",
        ),
        K.PREVENTION_DUE: Text(
            "Something of prevention is due",
            "Something is to be done in your prevention calendar. Sign in to see it.",
        ),
        K.PREVENTION_CHANGED: Text(
            "Your prevention calendar has changed",
            "The recommendations have changed. Sign in to see what that changes for you.",
        ),
        K.APPOINTMENT_SOON: Text(
            "A reminder of your calendar",
            "You asked to be reminded. Sign in to see of what.",
        ),
        K.VOLUME_ALARM: Text(
            "An alarm awaits the operators",
            "An alarm awaits you. Sign in to look into it.",
        ),
    },
}

_CODES = {
    Locale.FR: Text(
        "Votre code de confirmation",
        "Pour recevoir des notifications à cette adresse, saisissez ce code : {code}\n\nIl est"
        " valable {minutes} minutes. Si vous ne l’avez pas demandé, ne faites rien : rien d’autre"
        " ne vous sera envoyé.",
    ),
    Locale.EN: Text(
        "Your confirmation code",
        "To receive notifications at this address, enter this code: {code}\n\nIt is valid for"
        " {minutes} minutes. If you did not ask for it, do nothing: nothing else will be sent.",
    ),
}
_RETIRED = {
    Locale.FR: Text(
        "Cette adresse ne reçoit plus de notifications",
        "Les notifications ne seront plus envoyées à cette adresse : elle a été remplacée ou"
        " retirée. Si ce n’était pas vous, connectez-vous et changez votre mot de passe.",
    ),
    Locale.EN: Text(
        "This address receives no more notifications",
        "Notifications will no longer be sent to this address: it was replaced or removed. If that"
        " was not you, sign in and change your password.",
    ),
}
_TEST = {
    Locale.FR: Text(
        "Message d’essai", "Ceci est un message d’essai : l’envoi de courriels fonctionne."
    ),
    Locale.EN: Text("Test message", "This is a test message: sending e-mail works."),
}


def notification_text(kind: NotificationKind, locale: Locale) -> Text:
    """Return what is said of a notification of this kind, whatever it is about."""
    return _NOTIFICATIONS[locale][kind]


def code_text(code: str, minutes: int, locale: Locale) -> Text:
    """Return what goes with a confirmation code."""
    text = _CODES[locale]
    return Text(text.title, text.body.format(code=code, minutes=minutes))


def retired_text(locale: Locale) -> Text:
    """Return what an address is told that is used no more."""
    return _RETIRED[locale]


def trial_text(locale: Locale) -> Text:
    """Return what an operator sends to try the mail server."""
    return _TEST[locale]


def text_of(
    message: DeliveryMessage,
    kind: NotificationKind | None,
    locale: Locale,
    code: str | None,
    minutes: int,
) -> Text:
    """Return the text of a delivery.

    Args:
        message: what it says.
        kind: of the notification, where it is one.
        locale: the recipient's.
        code: to be entered, where it is a code.
        minutes: how long a code is valid.
    """
    if kind is not None:
        return notification_text(kind, locale)
    if message is DeliveryMessage.EMAIL_CODE and code is not None:
        return code_text(code, minutes, locale)
    return retired_text(locale)
