"""The chains and logs that cases name, and how values stand in a case."""

from __future__ import annotations

import dataclasses
from enum import Enum
from types import MappingProxyType
from typing import Any

from carnet_crypto.account import Account
from carnet_crypto.thread import Thread

In = dict[str, Any]


def shape(value: Any) -> Any:
    """Return a value in JSON's terms."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {_camel(field.name): shape(getattr(value, field.name)) for field in fields}
    if isinstance(value, tuple | list):
        return [shape(each) for each in value]
    if isinstance(value, dict | MappingProxyType):
        return {_camel(str(name)): shape(each) for name, each in value.items()}
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


class World:
    """The chains and logs that cases name: ``alice`` is the whole, ``alice:3`` its first three."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.chains: dict[str, list[str]] = given["chains"]
        self.logs: dict[str, list[dict[str, Any]]] = given["logs"]
        self._accounts: dict[str, Account] = {}
        self._threads: dict[str, Thread] = {}

    def account(self, name: str) -> Account:
        """Return an account as its chain says."""
        if name not in self._accounts:
            entries = _first(self.chains, name)
            self._accounts[name] = Account.replay(bytes.fromhex(entry) for entry in entries)
        return self._accounts[name]

    def thread(self, name: str) -> Thread:
        """Return a thread as its log says."""
        if name not in self._threads:
            found: Thread | None = None
            for each in _first(self.logs, name):
                author = self.account(each["author"])
                entry = bytes.fromhex(each["entry"])
                if found is None:
                    found = Thread.begin(entry, author, is_history=True)
                else:
                    found = found.extend(entry, author, is_history=True)
            if found is None:
                raise ValueError("a log has at least one entry")
            self._threads[name] = found
        return self._threads[name]


def _first(table: dict[str, list[Any]], name: str) -> list[Any]:
    key, _, count = name.partition(":")
    return table[key][: int(count)] if count else table[key]


def take(given: In, name: str) -> bytes:
    """Return the bytes that a case gives under a name."""
    return bytes.fromhex(given[name])
