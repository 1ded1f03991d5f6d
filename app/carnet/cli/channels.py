"""The channels over which notifications leave the server, as the settings have them."""

from __future__ import annotations

from carnet.errors import UserMistake
from carnet.notifications.delivering import Channels
from carnet.notifications.mail import Mail
from carnet.notifications.push import Push
from carnet.settings import Mode, Settings


def channels_of(settings: Settings, server_key: bytes) -> Channels:
    """Return what is set up.

    Raises:
        UserMistake: a setting cannot be used.
    """
    is_development = settings.mode is Mode.DEVELOPMENT
    link = settings.public_url or f"http://{settings.host}:{settings.port}"
    contact = settings.mail_from and f"mailto:{settings.mail_from.rpartition('<')[2].rstrip('>')}"
    if settings.push_private and not is_development:
        raise UserMistake("CARNET_PUSH_PRIVATE is for development.")
    push = Push.open(
        settings.vapid_key_file,
        settings.data_dir,
        contact or link,
        may_create=is_development,
        private=settings.push_private,
    )
    mail = Mail.of(settings.smtp_url, settings.mail_from) if settings.smtp_url else None
    return Channels(mail, push, link, server_key)
