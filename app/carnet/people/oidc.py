"""Access tokens of identity providers (Pro Santé Connect, FranceConnect, Keycloak), verified here.

Carnet is a resource server only: it takes a signed access token (RFC 9068, or Keycloak's older
form) and never a code or an ID token. A provider is trusted for one kind of people, which the
operator's file says and no token can: a token of a patients' provider never acts as a
professional, whatever it claims, and a professionals' provider vouches only for an RPPS that the
register has.

The file is TOML, with one table for each provider::

    [[provider]]
    name = "Pro Santé Connect"
    issuer = "https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet"
    jwks_uri = "https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/certs"
    audience = "carnet"
    audience_claim = "azp"
    algorithms = ["RS256"]
    kind = "professional"
    token_type = "keycloak"
    subject_claim = "SubjectNameID"
    leeway_seconds = 30

``audience_claim`` is ``aud`` unless a provider names no audience in its tokens, as Pro Santé
Connect does not; ``azp`` then names the client that asked for the token, which must be our own.
An opaque access token cannot be verified here; a provider that gives those stands behind a broker
such as Keycloak.
"""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import Unauthenticated, UserMistake
from carnet.people.accounts import SUBJECT_LIMIT
from carnet.people.actor import Actor, Assurance
from carnet.people.identifiers import rpps_of_national_id
from carnet.people.jwks import LOOPBACK, KeySource, PublicKey
from carnet.people.sessions import actor_of
from carnet.people.tables import Account, AccountKind, Professional
from carnet.store.database import Database, Work
from carnet_crypto.encoding import DecodeError, from_base64url

# Signatures by a secret shared with the provider (HS…) would let anybody who holds the public
# key's bytes sign, and «none» anybody at all; so neither can be configured.
ALGORITHMS: Final = frozenset(
    {
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "Ed25519"),
    }
)
TOKEN_LIMIT = 16_384  # characters; tokens with many roles reach half of it
KID_LIMIT = 255  # characters
LARGEST_LEEWAY = 300  # seconds
ONLY_IN_ID_TOKENS = frozenset({"at_hash", "c_hash", "s_hash"})  # OpenID Connect Core, 3.3.2.11

_CLAIM = re.compile(r"[A-Za-z0-9_.:/-]{1,100}", re.ASCII)
_RPPS = re.compile(r"\d{11}", re.ASCII)


class TokenType(StrEnum):
    """How a provider marks its access tokens, so that an ID token never passes for one.

    ``at+jwt``: the header's ``typ`` says it (RFC 9068). ``keycloak``: the header says ``JWT`` for
    every token and the claim ``typ`` tells them apart: ``Bearer``, ``ID``, ``Refresh``, ``Logout``.
    """

    AT_JWT = "at+jwt"
    KEYCLOAK = "keycloak"


@dataclass(frozen=True, slots=True)
class Provider:
    """One trusted identity provider."""

    name: str
    issuer: str
    jwks_uri: str
    audience: str
    algorithms: tuple[str, ...]
    kind: AccountKind
    token_type: TokenType
    audience_claim: str = "aud"
    subject_claim: str = "sub"
    leeway_seconds: int = 30


class Providers:
    """The trusted providers of a process, with their keys."""

    def __init__(
        self, providers: Sequence[Provider], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._by_issuer = {
            provider.issuer: (provider, KeySource(provider.jwks_uri, monotonic))
            for provider in providers
        }

    def keys_of(self, issuer: str) -> KeySource:
        """Return the keys of a configured issuer."""
        return self._by_issuer[issuer][1]

    async def authenticate(self, database: Database, token: str) -> Actor:
        """Turn an access token into who acts.

        Raises:
            Unauthenticated: it is no valid access token for Carnet of a trusted provider, or
                its subject has no account here.
        """
        header, claimed = _unverified(token)
        issuer, kid = claimed.get("iss"), header.get("kid")
        known = self._by_issuer.get(issuer) if isinstance(issuer, str) else None
        if known is None or not isinstance(kid, str) or len(kid) > KID_LIMIT:
            raise Unauthenticated()
        provider, keys = known
        # Before any key is looked for: what cannot pass anyway fetches nothing.
        _check_header(provider, header)
        key = await keys.find(kid)
        if key is None:
            raise Unauthenticated()
        claims = verify(token, provider, key, int(database.clock.now().timestamp()))
        return await _actor(database, provider, claims)


def verify(token: str, provider: Provider, key: PublicKey, now: int) -> dict[str, Any]:
    """Return the claims of an access token that holds in every respect.

    ``nonce`` is no sign of an ID token: Keycloak before version 24 copies it into access tokens.

    Args:
        token: a JWS in compact form.
        provider: whose token it is to be.
        key: the provider's key that the token names.
        now: seconds since 1970.

    Raises:
        Unauthenticated: signature, issuer, audience, type or times do not hold.
    """
    header, _ = _unverified(token)
    _check_header(provider, header)
    expected: dict[str, ClaimsOption] = {
        "iss": {"essential": True, "value": provider.issuer},
        provider.audience_claim: {"essential": True, "value": provider.audience},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    try:
        verified = jws.deserialize_compact(
            token, key, registry=JWSRegistry(algorithms=provider.algorithms)
        )
        claims = orjson.loads(verified.payload)
        JWTClaimsRegistry(now, provider.leeway_seconds, **expected).validate(claims)
    except (JoseError, ValueError, TypeError, OverflowError, RecursionError):
        raise Unauthenticated() from None
    if ONLY_IN_ID_TOKENS & claims.keys():
        raise Unauthenticated()
    if provider.token_type is TokenType.KEYCLOAK and claims.get("typ") != "Bearer":
        raise Unauthenticated()
    return dict(claims)


def load_providers(path: Path) -> Providers:
    """Read the operator's file of trusted providers.

    Raises:
        UserMistake: it cannot be read, or says something that is not safe or not known.
    """
    try:
        shape = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserMistake(f"{path} is not TOML: {error}.") from None
    tables = shape.pop("provider", None)
    if shape or not isinstance(tables, list) or not tables:
        raise UserMistake(f"{path} must hold [[provider]] tables and nothing else.")
    providers = [_provider(path, number, table) for number, table in enumerate(tables, 1)]
    if len({provider.issuer for provider in providers}) < len(providers):
        raise UserMistake(f"{path} names an issuer twice.")
    return Providers(providers)


def _provider(path: Path, number: int, table: Any) -> Provider:
    """Read one table; every message names the file, the provider and the setting."""

    def mistake(what: str) -> UserMistake:
        return UserMistake(f"{path}, provider {number}: {what}.")

    if not isinstance(table, dict):
        raise mistake("it must be a [[provider]] table")
    texts = ("name", "issuer", "jwks_uri", "audience", "kind", "token_type")
    optional: dict[str, Any] = {
        "audience_claim": "aud",
        "subject_claim": "sub",
        "leeway_seconds": 30,
    }
    unknown = table.keys() - {*texts, "algorithms", *optional}
    if unknown:
        raise mistake(f"there is no setting {min(unknown)!r}")
    given = optional | table
    for key in (*texts, "audience_claim", "subject_claim"):
        if not isinstance(given.get(key), str) or not given[key].strip():
            raise mistake(f"{key} must be a text")
    algorithms = given.get("algorithms")
    if not isinstance(algorithms, list) or not algorithms:
        raise mistake("algorithms must be a list such as ['RS256']")
    for algorithm in algorithms:
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise mistake(f"algorithm {algorithm!r} is not one of {', '.join(sorted(ALGORITHMS))}")
    for key in ("issuer", "jwks_uri"):
        if not _is_safe_address(given[key]):
            raise mistake(f"{key} must be an https:// address")
    kinds = {"patient": AccountKind.PATIENT, "professional": AccountKind.PROFESSIONAL}
    if given["kind"] not in kinds:
        raise mistake("kind must be patient or professional")
    if given["token_type"] not in list(TokenType):
        raise mistake("token_type must be at+jwt or keycloak")
    if given["audience_claim"] not in {"aud", "azp"}:
        raise mistake("audience_claim must be aud or azp")
    if _CLAIM.fullmatch(given["subject_claim"]) is None:
        raise mistake("subject_claim is not the name of a claim")
    leeway = given["leeway_seconds"]
    if type(leeway) is not int or not 0 <= leeway <= LARGEST_LEEWAY:
        raise mistake(f"leeway_seconds must be from 0 to {LARGEST_LEEWAY}")
    return Provider(
        name=given["name"],
        issuer=given["issuer"],
        jwks_uri=given["jwks_uri"],
        audience=given["audience"],
        algorithms=tuple(algorithms),
        kind=kinds[given["kind"]],
        token_type=TokenType(given["token_type"]),
        audience_claim=given["audience_claim"],
        subject_claim=given["subject_claim"],
        leeway_seconds=leeway,
    )


def _is_safe_address(text: str) -> bool:
    """Tell whether nobody on the way can change what this address answers."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        return False
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and host in LOOPBACK))


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that nobody has vouched for yet."""
    parts = token.split(".") if len(token) <= TOKEN_LIMIT else []
    if len(parts) != 3:
        raise Unauthenticated()
    try:
        header, claims = (orjson.loads(from_base64url(part)) for part in parts[:2])
    except (DecodeError, orjson.JSONDecodeError):
        raise Unauthenticated() from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Unauthenticated()
    return header, claims


def _check_header(provider: Provider, header: dict[str, Any]) -> None:
    """Refuse what the header alone condemns: algorithm, type, extensions that change the form."""
    if header.get("alg") not in provider.algorithms or "crit" in header or "b64" in header:
        raise Unauthenticated()
    kind = header.get("typ")
    marked = kind.lower().removeprefix("application/") if isinstance(kind, str) else None
    expected = "at+jwt" if provider.token_type is TokenType.AT_JWT else "jwt"
    if marked != expected:
        raise Unauthenticated()


async def _actor(database: Database, provider: Provider, claims: dict[str, Any]) -> Actor:
    subject = claims.get(provider.subject_claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LIMIT or "\0" in subject:
        raise Unauthenticated()
    if provider.kind is AccountKind.PROFESSIONAL:
        subject = subject if _RPPS.fullmatch(subject) else rpps_of_national_id(subject)
        if subject is None:
            raise Unauthenticated()
    async with database.read() as work:
        account = await _linked(work, provider, subject)
    if account is None and provider.kind is AccountKind.PROFESSIONAL:
        async with database.write() as work:
            await _link_professional(work, provider, subject)
            account = await _linked(work, provider, subject)
    if account is None or account.kind is not provider.kind:
        raise Unauthenticated()
    expires_at = _moment(claims["exp"] + provider.leeway_seconds)
    return actor_of(account, Assurance.IDENTITY_PROVIDER, expires_at=expires_at)


def _moment(seconds: float) -> datetime:
    """Return the moment of a numeric date; one that no calendar has is its last day."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)


async def _linked(work: Work, provider: Provider, subject: str) -> Account | None:
    criteria: list[ColumnElement[bool]] = [
        Account.issuer == provider.issuer,
        Account.subject == subject,
    ]
    if provider.kind is AccountKind.PROFESSIONAL:
        owner = exists().where(
            Professional.id == Account.professional_id, Professional.rpps == subject
        )
        criteria.append(owner)
    return await work.session.scalar(select(Account).where(*criteria))


async def _link_professional(work: Work, provider: Provider, rpps: str) -> None:
    """Give a registered professional an account at first sight of a token for their RPPS.

    Who has a disabled account gets no second one by coming through another door.
    """
    professional_id = await work.session.scalar(
        select(Professional.id).where(
            Professional.rpps == rpps,
            ~exists().where(
                Account.professional_id == Professional.id, Account.disabled_at.is_not(None)
            ),
        )
    )
    if professional_id is None:
        return
    await work.session.execute(
        insert(Account)
        .values(
            id=work.new_id(),
            kind=AccountKind.PROFESSIONAL,
            professional_id=professional_id,
            issuer=provider.issuer,
            subject=rpps,
            created_at=work.now,
        )
        .on_conflict_do_nothing(index_elements=["issuer", "subject"])
    )
