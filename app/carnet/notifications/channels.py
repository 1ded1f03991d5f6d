"""The channels of this server: which are set up, by its settings. One that is not is simply off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from carnet.errors import UserMistake
from carnet.notifications.devices import USUAL_HOSTS, EndpointRules
from carnet.notifications.mail import MailSender, Relay
from carnet.notifications.push import PushSender
from carnet.notifications.sending import Sender
from carnet.notifications.tables import Channel
from carnet.notifications.vapid import VapidKey
from carnet.settings import Mode, Settings

DEFAULT_CONTACT = "mailto:carnet@localhost"  # in development


@dataclass(frozen=True, slots=True)
class Channels:
    """What can be sent over; None is off."""

    mail: MailSender | None = None
    push: PushSender | None = None

    @classmethod
    def open(cls, settings: Settings) -> Channels:
        """Set up what the settings name.

        Raises:
            UserMistake: a setting cannot be used, or lacks another; it is named.
        """
        is_production = settings.mode is Mode.PRODUCTION
        if settings.push_private and is_production:
            raise UserMistake("CARNET_PUSH_PRIVATE is for development only.")
        key = VapidKey.open(
            settings.vapid_key_file, settings.data_dir, may_create=not is_production
        )
        if settings.smtp_url is None and key is None:
            return cls()
        link = public_url(settings)
        mail = None
        if settings.smtp_url is not None:
            if settings.mail_from is None:
                raise UserMistake("CARNET_SMTP_URL needs CARNET_MAIL_FROM, the sender's address.")
            mail = MailSender(Relay.parse(settings.smtp_url), settings.mail_from, link)
        if key is None:
            return cls(mail)
        rules = EndpointRules(settings.push_hosts or USUAL_HOSTS, settings.push_private)
        return cls(mail, PushSender(key, _contact(settings, link), link, rules))

    @property
    def senders(self) -> Sequence[Sender]:
        """Those that are on."""
        return [sender for sender in (self.mail, self.push) if sender is not None]

    def is_on(self, channel: Channel) -> bool:
        """Tell whether the server sends over a channel."""
        return any(sender.channel is channel for sender in self.senders)


def public_url(settings: Settings) -> str:
    """Return the address of the app.

    Raises:
        UserMistake: it is missing in production, or is no https URL.
    """
    given = settings.public_url
    if given is None:
        if settings.mode is Mode.PRODUCTION:
            raise UserMistake("CARNET_PUBLIC_URL is missing: what is sent leads to the app there.")
        host = "localhost" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 — compared
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/"
    try:
        parts = urlsplit(given)
    except ValueError:
        raise UserMistake("CARNET_PUBLIC_URL is no URL.") from None
    schemes = {"https"} if settings.mode is Mode.PRODUCTION else {"https", "http"}
    if parts.scheme not in schemes or not parts.hostname or parts.username or not given.isascii():
        raise UserMistake("CARNET_PUBLIC_URL must be the https URL of the app.")
    return given


def _contact(settings: Settings, link: str) -> str:
    """Return whom a push service can write to.

    Of the app's URL only the host: py_vapid takes neither a port nor a path, and signs nothing.
    """
    if settings.mail_from is not None:
        return f"mailto:{settings.mail_from}"
    parts = urlsplit(link)
    host = parts.hostname or ""
    return f"https://{host}" if parts.scheme == "https" and "." in host else DEFAULT_CONTACT
