"""Whose address a request has."""

from __future__ import annotations

import pytest
from starlette.types import Scope

from carnet.errors import UserMistake
from carnet.http.guards import client_address, trusted_networks


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("203.0.113.9", None, (), "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", (), "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", ("10.0.0.1",), "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.9.9.9", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "10.2.2.2", ("10.0.0.0/8",), "10.2.2.2"),
        ("10.0.0.1", "rubbish", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, ", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "", ("10.0.0.0/8",), "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", ("10.0.0.0/8",), "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1, ::ffff:10.2.2.2", ("10.0.0.0/8",), "198.51.100.1"),
        ("::ffff:203.0.113.9", "198.51.100.1", ("10.0.0.0/8",), "203.0.113.9"),
        ("::1", "2001:db8::7", ("::1",), "2001:db8::7"),
        (None, None, (), "127.0.0.1"),
        ("testclient", None, (), "127.0.0.1"),
    ],
)
def test_the_address_is_what_trusted_proxies_say(
    peer: str | None, forwarded: str | None, trusted: tuple[str, ...], address: str
) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    scope: Scope = {"type": "http", "headers": headers, "client": (peer, 1) if peer else None}
    assert client_address(scope, trusted_networks(trusted)) == address


def test_a_proxy_that_is_no_network_is_the_operators_mistake() -> None:
    with pytest.raises(UserMistake, match="CARNET_TRUSTED_PROXIES"):
        trusted_networks(("proxy.example",))
