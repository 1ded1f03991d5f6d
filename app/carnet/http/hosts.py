"""What this server may be called, and which pages may speak to it.

A page of another site cannot read what is answered here, but a name that its owner points at this
machine makes it the same site (DNS rebinding): so only names that are ours are answered to.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from carnet.settings import Mode, Settings

ANY = "*"
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?)(:\d{1,5})?", re.ASCII)


class Hosts:
    """The names and origins of one server's settings."""

    def __init__(self, settings: Settings) -> None:
        self._is_development = settings.mode is Mode.DEVELOPMENT
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)
        named = [name.lower() for name in settings.allowed_hosts]
        public = urlsplit(settings.public_url or "").hostname
        if public:
            named.append(public)
        if not named and not self._is_development:
            named.append(ANY)  # `carnet check` says so
        self._names = frozenset(name for name in named if not name.startswith("*."))
        self._domains = tuple(name[1:] for name in named if name.startswith("*."))

    def is_own(self, host: str) -> bool:
        """Tell whether a ``Host`` header names this server."""
        match = HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].strip("[]").rstrip(".")
        if ANY in self._names or name in self._names or name.endswith(self._domains):
            return True
        return name == "localhost" or name.endswith(".localhost") or self._is_address(name)

    def _is_address(self, name: str) -> bool:
        """Tell an address: no name server was asked for it, so nobody can have pointed it here.

        In production only this machine's: `carnet intake` beside the server knows no other.
        """
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return self._is_development or address.is_loopback

    def may_speak(self, origin: str, host: str) -> bool:
        """Tell whether a page of this origin may speak to this host: its own, or an allowed one."""
        scheme, separator, named = origin.lower().partition("://")
        if separator and scheme in {"http", "https"} and named == host.lower():
            return True
        return origin.lower() in self._origins
