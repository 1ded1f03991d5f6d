from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from sqlalchemy import func, select

from carnet.access.cutting import CutOffReason, cut_off_professional
from carnet.clock import MovableClock
from carnet.errors import Unauthenticated
from carnet.people import jwks
from carnet.people.accounts import create_account, disable_account, link_identity
from carnet.people.actor import CONSOLE, Assurance, Patient, Professional
from carnet.people.oidc import Provider, Providers, TokenType
from carnet.people.registers import register_professional
from carnet.people.sessions import authenticate, live_until
from carnet.people.tables import Account, AccountKind
from carnet.store.database import Database

HERE = "192.0.2.7"
RPPS = "10101234564"
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})


@dataclass
class KeyServer:
    """A real HTTP server with a key set, whose answers can be held back and spoiled."""

    keys: list[Any] = field(default_factory=lambda: [RSA, EC])
    status: str = "200 OK"
    body: bytes | None = None
    headers: str = ""
    hits: int = 0
    port: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.hits += 1
        self.arrived.set()
        await self.gate.wait()
        body = self.body
        if body is None:
            body = json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
        head = f"HTTP/1.1 {self.status}\r\n{self.headers}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/certs"


@dataclass
class Stopwatch:
    """Seconds that pass when told to."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    served = KeyServer()
    served.gate.set()
    listener = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.port = listener.sockets[0].getsockname()[1]
    yield served
    listener.close()
    await listener.wait_closed()


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def patients(server: KeyServer) -> Provider:
    return Provider(
        name="Patients",
        issuer="https://patients.example.org",
        jwks_uri=server.uri,
        audience="carnet",
        algorithms=("RS256", "ES256"),
        kind=AccountKind.PATIENT,
        token_type=TokenType.AT_JWT,
    )


@pytest.fixture
def professionals(server: KeyServer) -> Provider:
    return Provider(
        name="Professionals",
        issuer="https://professionals.example.org/realms/x",
        jwks_uri=server.uri,
        audience="carnet",
        algorithms=("RS256",),
        kind=AccountKind.PROFESSIONAL,
        token_type=TokenType.KEYCLOAK,
        subject_claim="SubjectNameID",
    )


@pytest.fixture
def providers(patients: Provider, professionals: Provider, watch: Stopwatch) -> Providers:
    return Providers([patients, professionals], watch)


@pytest.fixture
async def linked(database: Database, person_id: UUID, patients: Provider) -> UUID:
    async with database.write() as work:
        account_id = await create_account(CONSOLE, work, AccountKind.PATIENT, person_id)
        await link_identity(CONSOLE, work, account_id, issuer=patients.issuer, subject="sub-1")
        return account_id


@pytest.fixture
async def doctor(database: Database) -> UUID:
    async with database.write() as work:
        return await register_professional(
            CONSOLE,
            work,
            rpps=RPPS,
            family_name="BERNARD",
            given_name="Sophie",
            profession_code="10",
        )


def now(database: Database) -> int:
    return int(database.clock.now().timestamp())


def patient_token(
    database: Database,
    header: dict[str, Any] | None = None,
    key: Any = RSA,
    algorithms: tuple[str, ...] = ("RS256", "ES256", "HS256", "none", "PS256", "Ed25519"),
    **claims: Any,
) -> str:
    """A good token of the patients' provider, but for what is given; None leaves a claim out."""
    head = {"alg": "RS256", "kid": "rsa-1", "typ": "at+jwt"} | (header or {})
    body = {
        "iss": "https://patients.example.org",
        "aud": "carnet",
        "sub": "sub-1",
        "iat": now(database),
        "exp": now(database) + 300,
    } | claims
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(head, body, key, list(algorithms), default_type=None)


def doctor_token(database: Database, header: dict[str, Any] | None = None, **claims: Any) -> str:
    good = {
        "iss": "https://professionals.example.org/realms/x",
        "typ": "Bearer",
        "sub": "f:1",
        "SubjectNameID": "8" + RPPS,
        "aud": ["account", "carnet"],
    }
    return patient_token(database, {"typ": "JWT"} | (header or {}), **(good | claims))


def raw_token(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def refused(database: Database, providers: Providers, token: str) -> None:
    async with database.read() as work:
        before = await work.session.scalar(select(func.count()).select_from(Account))
    with pytest.raises(Unauthenticated) as refusal:
        await authenticate(database, token, HERE, providers=providers)
    assert token not in str(refusal.value) and refusal.value.__cause__ is None
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Account)) == before


async def test_a_good_token_acts_as_the_linked_patient(
    database: Database, providers: Providers, linked: UUID, person_id: UUID, server: KeyServer
) -> None:
    expected = Patient(person_id, linked, Assurance.IDENTITY_PROVIDER)
    for token in (
        patient_token(database),
        patient_token(database, {"typ": "application/AT+JWT"}),
        patient_token(database, {"alg": "ES256", "kid": "ec-1"}, EC),
        patient_token(database, aud=["other", "carnet"]),
        patient_token(database, exp=now(database) - 20),  # within the leeway
    ):
        actor = await authenticate(database, token, HERE, providers=providers)
        assert isinstance(actor, Patient) and actor.expires_at is not None
        assert replace(actor, expires_at=None) == expected
    assert server.hits == 1
    with pytest.raises(Unauthenticated):
        await authenticate(database, patient_token(database), HERE)  # none is trusted


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://patients.example.org/"},
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"iss": ["https://patients.example.org"]},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": None},
        {"aud": {"carnet": 1}},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "sub-1\0"},
        {"sub": "sub-2"},
        {"exp": None},
        {"exp": "2100-01-01"},
        {"exp": True},
        {"iat": None},
        {"at_hash": "x"},
        {"c_hash": "x"},
    ],
)
async def test_a_claim_that_does_not_hold_is_refused(
    database: Database, providers: Providers, linked: UUID, claims: dict[str, Any]
) -> None:
    await refused(database, providers, patient_token(database, **claims))


@pytest.mark.parametrize(
    ("claim", "offset"), [("exp", -31), ("exp", -86400), ("nbf", 60), ("iat", 60)]
)
async def test_times_count_by_our_clock_with_leeway(
    database: Database,
    clock: MovableClock,
    providers: Providers,
    linked: UUID,
    claim: str,
    offset: int,
) -> None:
    clock.offset = timedelta(days=400)
    good = {"exp": now(database) + 300, "iat": now(database) - 600}
    token = patient_token(database, **(good | {claim: now(database) + offset}))
    await refused(database, providers, token)
    assert await authenticate(database, patient_token(database, **good), HERE, providers=providers)


async def test_an_id_token_is_no_access_token(
    database: Database, providers: Providers, linked: UUID, doctor: UUID
) -> None:
    for token in (
        patient_token(database, {"typ": "JWT"}, nonce="n"),
        patient_token(database, {"typ": "JWT"}),
        patient_token(database, {"typ": "id+jwt"}),
        patient_token(database, {"typ": "logout+jwt"}),
        doctor_token(database, typ="ID"),
        doctor_token(database, typ="Refresh"),
        doctor_token(database, typ=None),
        doctor_token(database, {"typ": "at+jwt"}),
        doctor_token(database, at_hash="x"),
    ):
        await refused(database, providers, token)
    untyped = {"alg": "RS256", "kid": "rsa-1"}
    claims = json.loads(base64.urlsafe_b64decode(patient_token(database).split(".")[1] + "=="))
    await refused(
        database, providers, jwt.encode(untyped, claims, RSA, ["RS256"], default_type=None)
    )
    # Keycloak before 24 copies the nonce into access tokens.
    token = doctor_token(database, nonce="n")
    assert await authenticate(database, token, HERE, providers=providers)


async def test_no_algorithm_but_the_configured_ones(
    database: Database, providers: Providers, linked: UUID, server: KeyServer
) -> None:
    claims = {
        "iss": "https://patients.example.org",
        "aud": "carnet",
        "sub": "sub-1",
        "iat": now(database),
        "exp": now(database) + 300,
    }
    for alg in ("none", "None", "NONE", ""):
        header = {"alg": alg, "kid": "rsa-1", "typ": "at+jwt"}
        await refused(database, providers, raw_token(header, claims))
        await refused(database, providers, raw_token(header, claims, b"x"))
    for secret in (RSA.as_pem(private=False), json.dumps(RSA.as_dict(private=False)).encode()):
        public_as_secret = OctKey.import_key(base64.urlsafe_b64encode(secret).decode())
        await refused(
            database, providers, patient_token(database, {"alg": "HS256"}, public_as_secret)
        )
    await refused(database, providers, patient_token(database, {"alg": "PS256"}))
    ed = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})
    server.keys.append(ed)
    await refused(
        database, providers, patient_token(database, {"alg": "Ed25519", "kid": "ed-1"}, ed)
    )
    # A key of the other kind than the algorithm.
    header = {"alg": "ES256", "kid": "rsa-1", "typ": "at+jwt"}
    await refused(database, providers, raw_token(header, claims, b"x" * 64))


async def test_a_signature_by_another_key_is_refused(
    database: Database, providers: Providers, linked: UUID
) -> None:
    forger = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    await refused(database, providers, patient_token(database, key=forger))
    own_key = {"jwk": forger.as_dict(private=False), "kid": "rsa-1"}
    claims = json.loads(base64.urlsafe_b64decode(patient_token(database).split(".")[1] + "=="))
    header = {"alg": "RS256", "typ": "at+jwt", **own_key}
    await refused(database, providers, jwt.encode(header, claims, forger, ["RS256"]))
    head, body, signature = patient_token(database).split(".")
    other = patient_token(database, sub="sub-2").split(".")[1]
    await refused(database, providers, f"{head}.{other}.{signature}")
    await refused(database, providers, f"{head}.{body}.{signature[:-4]}AAAA")
    await refused(database, providers, f"{head}.{body}.")


async def test_malformed_tokens_are_refused_without_a_fetch(
    database: Database, providers: Providers, server: KeyServer
) -> None:
    head, body, signature = patient_token(database).split(".")
    good_claims = {"iss": "https://patients.example.org"}
    good_header = {"alg": "RS256", "kid": "rsa-1", "typ": "at+jwt"}
    deep = base64.urlsafe_b64encode(b"[" * 9000).rstrip(b"=").decode()
    for token in (
        "..",
        "a.b.c",
        f"{head}.{body}",
        f"{head}.{body}.{signature}.x",
        f"{head}=.{body}.{signature}",
        f"{deep}.{body}.{signature}",
        f"{head}.{deep}.{signature}",
        f"{head}.{'A' * 20_000}.{signature}",
        raw_token({}, {}),
        raw_token(good_header | {"kid": 7}, good_claims),
        raw_token(good_header | {"kid": "x" * 300}, good_claims),
        raw_token(good_header | {"crit": ["b64"], "b64": False}, good_claims),
        raw_token(good_header | {"b64": False}, good_claims),
        raw_token(good_header | {"typ": 7}, good_claims),
        raw_token(good_header | {"alg": ["RS256"]}, good_claims),
        raw_token(good_header | {"alg": {}}, good_claims),
        raw_token({"alg": "RS256", "typ": "at+jwt"}, good_claims),
        raw_token(good_header, {"iss": "https://other.example.org"}),
        raw_token(good_header, {"iss": {}}),
    ):
        await refused(database, providers, token)
    assert server.hits == 0
    await refused(database, providers, raw_token(good_header | {"x5u": 7}, good_claims))
    await refused(database, providers, raw_token(good_header, {**good_claims, "exp": 1e400}))


async def test_fifty_requests_share_one_fetch(
    database: Database, providers: Providers, linked: UUID, server: KeyServer
) -> None:
    server.gate.clear()
    tokens = [patient_token(database) for _ in range(50)]
    waiting = [
        asyncio.create_task(authenticate(database, token, HERE, providers=providers))
        for token in tokens
    ]
    await server.arrived.wait()
    waiting[0].cancel()  # who asked first may leave; the others still get their answer
    server.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [getattr(answer, "kind", answer) for answer in answers[1:]] == ["PATIENT"] * 49
    assert server.hits == 1 == providers.keys_of("https://patients.example.org").fetches


async def test_random_key_names_fetch_nothing_more(
    database: Database, providers: Providers, linked: UUID, server: KeyServer, watch: Stopwatch
) -> None:
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    watch.seconds += jwks.COOL_DOWN
    storm = [patient_token(database, {"kid": f"random-{n}"}) for n in range(60)]
    answers = await asyncio.gather(
        *(authenticate(database, token, HERE, providers=providers) for token in storm),
        return_exceptions=True,
    )
    assert {type(answer) for answer in answers} == {Unauthenticated}
    assert server.hits == 2  # one for the first key, one for all of the storm
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    assert server.hits == 2


async def test_a_new_key_is_found_after_the_cool_down(
    database: Database, providers: Providers, linked: UUID, server: KeyServer, watch: Stopwatch
) -> None:
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    rotated = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    server.keys = [rotated]
    token = patient_token(database, {"kid": "rsa-2"}, rotated)
    await refused(database, providers, token)
    watch.seconds += jwks.COOL_DOWN - 1
    await refused(database, providers, token)
    assert server.hits == 1
    watch.seconds += 1
    assert await authenticate(database, token, HERE, providers=providers)
    assert server.hits == 2
    await refused(database, providers, patient_token(database))  # the old key is gone with it


async def test_a_withdrawn_key_is_trusted_ten_minutes(
    database: Database, providers: Providers, linked: UUID, server: KeyServer, watch: Stopwatch
) -> None:
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    server.keys = [EC]
    watch.seconds += jwks.FRESH_FOR
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    watch.seconds += 1
    await refused(database, providers, patient_token(database))


async def test_known_keys_serve_an_hour_while_the_provider_is_down(
    database: Database, providers: Providers, linked: UUID, server: KeyServer, watch: Stopwatch
) -> None:
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    server.status = "503 Down"
    watch.seconds += jwks.STALE_FOR
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    assert await authenticate(database, patient_token(database), HERE, providers=providers)
    assert server.hits == 2
    watch.seconds += 1
    await refused(database, providers, patient_token(database))
    server.status = "200 OK"
    watch.seconds += jwks.COOL_DOWN
    assert await authenticate(database, patient_token(database), HERE, providers=providers)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("500 Broken", "", None),
        ("302 Found", "Location: http://127.0.0.1:1/elsewhere\r\n", None),
        ("200 OK", "", b""),
        ("200 OK", "", b"[]"),
        ("200 OK", "", b'{"keys": 7}'),
        ("200 OK", "", b'{"keys": [7, null, {"kid": "rsa-1"}, {"kid": 7, "kty": "RSA"}]}'),
        ("200 OK", "", b" " * (jwks.SIZE_LIMIT + 1)),
        ("nonsense", "", b""),
    ],
)
async def test_a_broken_key_set_lets_nobody_in(
    database: Database,
    providers: Providers,
    linked: UUID,
    server: KeyServer,
    watch: Stopwatch,
    status: str,
    headers: str,
    body: bytes | None,
) -> None:
    server.status, server.headers, server.body = status, headers, body
    await refused(database, providers, patient_token(database))
    await refused(database, providers, patient_token(database))
    assert server.hits == 1
    server.status, server.headers, server.body = "200 OK", "", None
    watch.seconds += jwks.COOL_DOWN
    assert await authenticate(database, patient_token(database), HERE, providers=providers)


async def test_a_professional_is_known_by_the_register(
    database: Database, providers: Providers, doctor: UUID
) -> None:
    actors = await asyncio.gather(
        *(
            authenticate(database, doctor_token(database), HERE, providers=providers)
            for _ in range(10)
        )
    )
    assert len(set(actors)) == 1
    (actor,) = set(actors)
    assert isinstance(actor, Professional)
    assert (actor.professional_id, actor.session_id) == (doctor, None)
    assert actor.assurance is Assurance.IDENTITY_PROVIDER
    plain = doctor_token(database, SubjectNameID=RPPS)
    again = await authenticate(database, plain, HERE, providers=providers)
    assert again == replace(actor, expires_at=again.expires_at)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Account)) == 1


async def test_a_provider_without_audiences_is_held_to_our_own_client(
    database: Database, professionals: Provider, doctor: UUID
) -> None:
    """As the national provider for professionals: ``azp`` alone, no ``aud``."""
    providers = Providers([replace(professionals, audience_claim="azp")])
    ours = doctor_token(database, aud=None, azp="carnet")
    actor = await authenticate(database, ours, HERE, providers=providers)
    assert isinstance(actor, Professional)
    for claims in ({"azp": "other"}, {"azp": None}, {"azp": None, "aud": "carnet"}, {"azp": ""}):
        await refused(database, providers, doctor_token(database, **({"aud": None} | claims)))


@pytest.mark.parametrize(
    "subject", ["899700218896", "0" + RPPS, RPPS[:-1], "", None, 7, ["8" + RPPS], "8" + RPPS + " x"]
)
async def test_who_is_not_in_the_register_is_no_professional(
    database: Database, providers: Providers, doctor: UUID, subject: object
) -> None:
    await refused(database, providers, doctor_token(database, SubjectNameID=subject))


async def test_a_token_cannot_claim_the_professional_role(
    database: Database, providers: Providers, doctor: UUID, linked: UUID, person_id: UUID
) -> None:
    wishes = {
        "SubjectNameID": "8" + RPPS,
        "preferred_username": "8" + RPPS,
        "realm_access": {"roles": ["professional", "admin"]},
        "kind": "professional",
        "typ": "Bearer",
    }
    token = patient_token(database, **wishes)
    actor = await authenticate(database, token, HERE, providers=providers)
    assert isinstance(actor, Patient) and actor.expires_at is not None
    assert replace(actor, expires_at=None) == Patient(
        person_id, linked, Assurance.IDENTITY_PROVIDER
    )
    await refused(database, providers, patient_token(database, **(wishes | {"sub": "8" + RPPS})))
    # Not even where somebody linked a professional's account to the patients' provider.
    async with database.write() as work:
        account = await create_account(CONSOLE, work, AccountKind.PROFESSIONAL, doctor)
        await link_identity(
            CONSOLE, work, account, issuer="https://patients.example.org", subject="doc"
        )
    await refused(database, providers, patient_token(database, **(wishes | {"sub": "doc"})))


async def test_a_disabled_account_is_refused_and_gets_no_second_one(
    database: Database, providers: Providers, doctor: UUID, linked: UUID
) -> None:
    async with database.write() as work:
        by_password = await create_account(CONSOLE, work, AccountKind.PROFESSIONAL, doctor)
        await disable_account(CONSOLE, work, by_password)
        await disable_account(CONSOLE, work, linked)
    await refused(database, providers, doctor_token(database))
    await refused(database, providers, patient_token(database))


async def test_who_is_cut_off_gets_in_with_no_token_of_any_provider(
    database: Database, providers: Providers, doctor: UUID
) -> None:
    token = doctor_token(database)
    actor = await authenticate(database, token, HERE, providers=providers)
    assert isinstance(actor, Professional)
    async with database.read() as work:
        assert await live_until(work, actor) == actor.expires_at is not None
    async with database.write() as work:
        await cut_off_professional(CONSOLE, work, doctor, CutOffReason.COMPROMISED)
    await refused(database, providers, token)
    await refused(database, providers, doctor_token(database))
    async with database.read() as work:
        with pytest.raises(Unauthenticated):
            await live_until(work, actor)
