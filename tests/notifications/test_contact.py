"""Whom push services can write to: whatever the app's URL is, requests to them can be signed."""

from pathlib import Path

import pytest

from carnet.notifications.channels import Channels
from carnet.settings import Settings


@pytest.mark.parametrize(
    ("public_url", "mail_from", "contact"),
    [
        ("https://app.example.org", None, "https://app.example.org"),
        ("https://app.example.org/", None, "https://app.example.org"),
        ("https://app.example.org:8443/carnet?from=mail", None, "https://app.example.org"),
        ("https://app.example.org/", "carnet@example.org", "mailto:carnet@example.org"),
        ("https://localhost:8443/", None, "mailto:carnet@localhost"),
        (None, None, "mailto:carnet@localhost"),
    ],
)
def test_a_request_is_signed_for_every_url_of_the_app(
    tmp_path: Path, public_url: str | None, mail_from: str | None, contact: str
) -> None:
    settings = Settings(data_dir=tmp_path, public_url=public_url, mail_from=mail_from)
    push = Channels.open(settings).push
    assert push is not None
    assert push.contact == contact
    signed = push.key.headers("https://push.example.org", push.contact, 1)
    assert signed["Authorization"].startswith("vapid t=")
