"""Trusted documents: the operations of front ends that their builds registered, by SHA-256.

A registry is the JSON file that relay-compiler (``persistConfig``) and graphql-codegen
(``persistedDocuments``) write: hash → text. Clients then send the hash alone; where nothing else
is trusted, who steals a token still asks only what some front end asks. Publishers, whose software
is not ours, go on sending texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

import orjson

from carnet.errors import OperationNotTrusted, PersistedQueryNotFound, UserMistake
from carnet.people.actor import Actor, Publisher

REGISTRY_LIMIT = 64 * 2**20  # bytes of one file
PREFIX = "sha256:"


class TrustedDocuments:
    """Texts of operations by their SHA-256 in hexadecimal.

    Args:
        texts: hash → text.
        is_only: nothing else is served to people.
    """

    def __init__(self, texts: Mapping[str, str] | None = None, *, is_only: bool = False) -> None:
        self._texts = dict(texts or {})
        self._is_only = is_only

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._texts)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield each hash with its text."""
        yield from self._texts.items()

    @classmethod
    def load(cls, files: Iterable[Path], *, is_only: bool = False) -> Self:
        """Read registries.

        Raises:
            UserMistake: a file cannot be read, is no registry, or a hash is not its text's.
        """
        texts: dict[str, str] = {}
        for file in files:
            for key, text in _read(file).items():
                digest = key.removeprefix(PREFIX).lower()
                if not isinstance(text, str) or sha256_of(text) != digest:
                    raise UserMistake(
                        f"{file}: {key[:80]!r} is not the SHA-256 of its text; let the compiler"
                        " write SHA-256."
                    )
                texts[digest] = text
        if is_only and not texts:
            raise UserMistake(
                "CARNET_TRUSTED_DOCUMENTS_ONLY needs registries in CARNET_TRUSTED_DOCUMENTS."
            )
        return cls(texts, is_only=is_only)

    def text_of(self, query: str | None, document_id: str | None, actor: Actor) -> str:
        """Return the text that is to run.

        Args:
            query: the text that was sent.
            document_id: or the hash.
            actor: who sent it.

        Raises:
            PersistedQueryNotFound: nothing is registered under the hash.
            OperationNotTrusted: the text is not registered, where it has to be.
        """
        if query is None:
            found = self._texts.get((document_id or "").removeprefix(PREFIX).lower())
            if found is None:
                raise PersistedQueryNotFound()
            return found
        is_free = not self._is_only or isinstance(actor, Publisher)
        if not is_free and sha256_of(query) not in self._texts:
            raise OperationNotTrusted()
        return query


def sha256_of(text: str) -> str:
    """Return the hash of a text, as registries have it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(file: Path) -> dict[str, object]:
    try:
        if file.stat().st_size > REGISTRY_LIMIT:
            raise UserMistake(f"{file} is larger than a registry of operations.")
        found = orjson.loads(file.read_bytes())
    except OSError as error:
        raise UserMistake(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError:
        raise UserMistake(f"{file} is not JSON.") from None
    if not isinstance(found, dict):
        raise UserMistake(f"{file} is no registry: an object of hash and text.")
    return found
