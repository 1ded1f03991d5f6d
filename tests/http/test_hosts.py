"""What a server may be called, and whose pages may speak to it."""

from __future__ import annotations

import pytest

from carnet.errors import UserMistake
from carnet.http.hosts import Hosts
from carnet.settings import Mode, Settings

PRODUCTION = Mode.PRODUCTION


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8000",
        "a.localhost",
        "127.0.0.1:1",
        "[::1]:80",
        "192.168.7.1",
        "localhost.",
    ],
)
def test_development_answers_to_this_machine_and_to_addresses(host: str) -> None:
    assert Hosts(Settings()).is_own(host)
    assert Hosts(Settings(allowed_hosts=("dev.example",))).is_own(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "evil.example/localhost",
        "localhost:80:80",
        "local host",
        "[evil]",
        "é.localhost",
        "127.0.0.1.evil.example",
        "localhost:",
        "-",
    ],
)
def test_no_other_name_is_ours(host: str) -> None:
    assert not Hosts(Settings()).is_own(host)
    assert not Hosts(Settings(mode=PRODUCTION, allowed_hosts=("api.example",))).is_own(host)


def test_production_answers_to_what_is_named() -> None:
    named = Hosts(Settings(mode=PRODUCTION, allowed_hosts=("Api.example", "*.clinic.example")))
    assert named.is_own("api.example") and named.is_own("north.clinic.example:443")
    for own in ("localhost:8000", "127.0.0.1:8000", "[::1]"):
        assert named.is_own(own)  # beside the server nobody knows another name
    for other in ("clinic.example", "xclinic.example", "192.0.2.7", "x.api.example"):
        assert not named.is_own(other)
    public = Hosts(Settings(mode=PRODUCTION, public_url="https://carnet.example/app"))
    assert public.is_own("carnet.example") and not public.is_own("app.example")
    assert Hosts(Settings(mode=PRODUCTION)).is_own("anything.example")  # `carnet check` finds it


@pytest.mark.parametrize(
    ("origin", "may_speak"),
    [
        ("http://api.example", True),
        ("https://API.example", True),
        ("https://app.example", True),
        ("https://APP.example", True),
        ("http://app.example", False),
        ("https://app.example.evil.example", False),
        ("https://api.example:8443", False),
        ("ftp://api.example", False),
        ("null", False),
        ("", False),
        ("api.example", False),
    ],
)
def test_a_page_speaks_to_its_own_server_or_is_allowed(origin: str, may_speak: bool) -> None:
    hosts = Hosts(Settings(allowed_origins=("https://app.example",)))
    assert hosts.may_speak(origin, "api.example") is may_speak


@pytest.mark.parametrize(
    "word", ["*", "null", "app.example", "https://app.example/path", "https://*.example"]
)
def test_an_origin_that_is_none_is_the_operators_mistake(word: str) -> None:
    with pytest.raises(UserMistake, match="CARNET_ALLOWED_ORIGINS"):
        Settings.from_env({"CARNET_ALLOWED_ORIGINS": f"https://ok.example {word}"})


def test_origins_are_read_as_browsers_send_them() -> None:
    found = Settings.from_env(
        {"CARNET_ALLOWED_ORIGINS": "https://App.example/, http://localhost:3000"}
    )
    assert found.allowed_origins == ("https://app.example", "http://localhost:3000")
