from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select

from carnet.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    Unauthenticated,
    ValidationFailed,
)
from carnet.people import queries
from carnet.people.accounts import create_account, disable_account, link_identity, set_password
from carnet.people.actor import (
    CONSOLE,
    Actor,
    Anonymous,
    Assurance,
    Operator,
    Patient,
    Professional,
    Publisher,
)
from carnet.people.claims import Claim
from carnet.people.identifiers import INS_NIR
from carnet.people.passwords import PasswordHash
from carnet.people.registers import (
    register_organization,
    register_professional,
    register_publisher,
    revoke_publisher,
)
from carnet.people.registration import register_person, register_persons
from carnet.people.rules import Recognition
from carnet.people.tables import (
    Account,
    AccountKind,
    Organization,
    Person,
    PersonIdentifier,
    Sex,
)
from carnet.people.tables import Professional as ProfessionalRow
from carnet.records import queries as records
from carnet.store.database import Database
from carnet.values import Identifier, PartialDate

INS = Identifier("1.2.250.1.213.1.4.8", "2 79 03 51 215 189 89")
LOCAL = Identifier("urn:oid:1.2.3.4.567.8.9.10", "1234567890121")


def claim(
    *identifiers: Identifier,
    family: str | None = "PAT-TROIS",
    born: str | None = "1979-03-28",
    sex: Sex = Sex.FEMALE,
    is_reference: bool = False,
) -> Claim:
    return Claim(
        identifiers,
        birth_family_name=family,
        given_names=("Dominique",),
        birth_date=PartialDate(born) if born else None,
        sex=sex,
        is_reference=is_reference,
    )


async def publisher(database: Database, *, may_register: bool = True) -> Publisher:
    async with database.write() as work:
        made = await register_publisher(
            CONSOLE, work, f"publisher {may_register}", may_register_persons=may_register
        )
        return Publisher(made.publisher_id)


async def count(database: Database, table: type) -> int:
    async with database.read() as work:
        return await work.session.scalar(select(func.count()).select_from(table)) or 0


async def register(database: Database, actor: Actor, *claims: Claim) -> list[tuple[str, object]]:
    async with database.write() as work:
        done = await register_persons(actor, work, claims)
    return [(one.kind.value, one.person_id) for one in done]


async def test_a_person_is_registered_once_with_their_numbers(database: Database) -> None:
    actor = await publisher(database)
    async with database.write() as work:
        made = await register_person(actor, work, claim(LOCAL, INS))
        assert made.is_new and not made.has_invalid_key
    async with database.write() as work:
        again = await register_person(actor, work, claim(INS))
        assert (again.kind, again.person_id) == (Recognition.FOUND, made.person_id)
    assert await count(database, Person) == 1
    async with database.read() as work:
        rows = list(await work.session.scalars(select(PersonIdentifier)))
    assert {(row.system, row.value, row.is_national, row.is_key_valid) for row in rows} == {
        (INS_NIR, "279035121518989", True, True),
        (LOCAL.system, LOCAL.value, False, None),
    }


async def test_a_wrong_key_is_flagged_and_kept(database: Database) -> None:
    actor = await publisher(database)
    wrong = Identifier(INS_NIR, "123456789012345")
    async with database.write() as work:
        made = await register_person(actor, work, claim(wrong))
        assert made.is_new and made.has_invalid_key
    async with database.read() as work:
        assert await work.session.scalar(select(PersonIdentifier.is_key_valid)) is False


async def test_thirty_submissions_at_once_make_one_person(database: Database) -> None:
    actor = await publisher(database)
    # In both orders, so that locks taken in the claim's order would wait in a circle.
    answers = await asyncio.gather(
        *(
            register(database, actor, claim(*((LOCAL, INS) if n % 2 else (INS, LOCAL))))
            for n in range(30)
        )
    )
    kinds = [kind for ((kind, _),) in answers]
    assert sorted(kinds) == ["CREATED"] + ["FOUND"] * 29
    assert len({person_id for ((_, person_id),) in answers}) == 1
    assert await count(database, Person) == 1


async def test_thirty_submissions_by_a_local_number_alone_make_one_person(
    database: Database,
) -> None:
    actor = await publisher(database)
    answers = await asyncio.gather(*(register(database, actor, claim(LOCAL)) for _ in range(30)))
    assert sorted(kind for ((kind, _),) in answers) == ["CREATED"] + ["FOUND"] * 29
    assert await count(database, Person) == 1


async def test_one_submission_may_name_a_person_twice(database: Database) -> None:
    actor = await publisher(database)
    other = Identifier("urn:oid:1.2.3", "x")
    answers = await register(
        database, actor, claim(INS), claim(INS, other), claim(other), claim(LOCAL)
    )
    assert [kind for kind, _ in answers] == ["CREATED", "FOUND", "FOUND", "CREATED"]
    assert len({person_id for _, person_id in answers}) == 2


async def test_one_local_number_of_two_patients_makes_two_persons(database: Database) -> None:
    actor = await publisher(database)
    first = claim(LOCAL)
    second = claim(LOCAL, family="AUTRE", born="1950-01-01", sex=Sex.MALE)
    ((_, one),) = await register(database, actor, first)
    ((kind, two),) = await register(database, actor, second)
    assert kind == "CREATED" and one != two
    assert await register(database, actor, first, second) == [("FOUND", one), ("FOUND", two)]


async def test_a_national_number_with_another_birth_date_changes_nothing(
    database: Database,
) -> None:
    actor = await publisher(database)
    await register(database, actor, claim(INS))
    assert await register(database, actor, claim(INS, LOCAL, born="1980-03-28")) == [
        ("CONFLICT", None)
    ]
    with pytest.raises(Conflict) as refusal:
        async with database.write() as work:
            await register_person(actor, work, claim(INS, LOCAL, born="1980-03-28"))
    assert "1980" not in str(refusal.value) and "2790" not in str(refusal.value)
    assert await count(database, Person) == 1
    assert await count(database, PersonIdentifier) == 1


async def test_a_national_number_without_its_key_is_the_same_number(database: Database) -> None:
    actor = await publisher(database)
    short = Identifier(INS_NIR, "2790351215189")
    answers = await asyncio.gather(
        *(register(database, actor, claim(short if n % 2 else INS)) for n in range(10))
    )
    assert sorted(kind for ((kind, _),) in answers) == ["CREATED"] + ["FOUND"] * 9
    assert await count(database, Person) == 1


async def test_more_numbers_of_a_known_person_are_learned(database: Database) -> None:
    actor = await publisher(database)
    ((_, one),) = await register(database, actor, claim(LOCAL))
    assert await register(database, actor, claim(LOCAL, INS)) == [("FOUND", one)]
    assert await register(database, actor, claim(INS, is_reference=True, family=None)) == [
        ("FOUND", one)
    ]


async def test_what_cannot_be_registered_stays_unknown(database: Database) -> None:
    actor = await publisher(database)
    claims = (claim(), claim(LOCAL, family=None), claim(INS, is_reference=True))
    assert await register(database, actor, *claims) == [("UNKNOWN", None)] * 3
    for one in claims:
        with pytest.raises(ValidationFailed):
            async with database.write() as work:
                await register_person(actor, work, one)
    assert await count(database, Person) == 0


async def test_a_reference_by_local_number_is_told_whom_it_may_mean(database: Database) -> None:
    actor = await publisher(database)
    ((_, one),) = await register(database, actor, claim(LOCAL))
    reference = claim(LOCAL, is_reference=True, family=None, born=None)
    async with database.write() as work:
        (done,) = await register_persons(actor, work, [reference])
    assert (done.kind, done.person_id, done.unsure) == (Recognition.UNKNOWN, None, (one,))


async def test_who_may_not_register_only_finds(database: Database) -> None:
    registrar = await publisher(database)
    reader = await publisher(database, may_register=False)
    assert await register(database, reader, claim(INS)) == [("UNKNOWN", None)]
    with pytest.raises(NotFound):
        async with database.write() as work:
            await register_person(reader, work, claim(INS))
    assert await count(database, Person) == 0
    ((_, one),) = await register(database, registrar, claim(INS))
    assert await register(database, reader, claim(INS, LOCAL)) == [("FOUND", one)]
    assert await count(database, PersonIdentifier) == 1  # and teaches nothing


async def test_others_register_nobody(database: Database) -> None:
    revoked = await publisher(database)
    async with database.write() as work:
        await revoke_publisher(CONSOLE, work, revoked.publisher_id)
    some = UUID(int=7)
    for actor, error in (
        (Anonymous(), Unauthenticated),
        (revoked, Unauthenticated),
        (Publisher(some), Unauthenticated),
        (Patient(some, some, Assurance.PASSWORD), AccessDenied),
        (Professional(some, some, Assurance.PASSWORD), AccessDenied),
    ):
        with pytest.raises(error):
            await register(database, actor, claim(INS))
    assert await count(database, Person) == 0


async def test_many_claims_take_few_statements(database: Database) -> None:
    actor = await publisher(database)
    claims = [
        claim(Identifier("urn:oid:1.2.3", str(n)), LOCAL, born=f"19{n:02}-01-01") for n in range(40)
    ]
    await register(database, actor, *claims)
    seen: list[str] = []

    def note(*args: object) -> None:
        seen.append(str(args[2]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.read() as work:
        found = await queries.recognize_claims(work, claims)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    assert {one.kind for one in found} == {Recognition.FOUND}
    assert len({one.person_id for one in found}) == 40
    assert len([statement for statement in seen if "SELECT" in statement]) == 3


async def test_the_claimed_birth_date_is_found_among_many_with_one_placeholder(
    database: Database,
) -> None:
    actor = await publisher(database)
    placeholder = Identifier("urn:oid:2.16.840.1.113883.4.1", "999-99-9999")
    claims = [claim(placeholder, born=f"{1900 + n}-01-01") for n in range(60)]
    made = await register(database, actor, *claims)
    assert [kind for kind, _ in made] == ["CREATED"] * 60
    again = await register(database, actor, *reversed(claims))
    assert again == [("FOUND", person_id) for _, person_id in reversed(made)]


async def test_odd_identifiers_harm_nothing(database: Database) -> None:
    actor = await publisher(database)
    odd = claim(
        Identifier("", "x"),
        Identifier("urn:x", ""),
        Identifier("urn:x", "nul\0"),
        Identifier("urn:x", "\ud800"),
        Identifier("urn:x", "x" * 5000),
        Identifier("urn:x", "' OR 1=1"),
        family="PAT\0-\ud800TROIS",
    )
    ((kind, one),) = await register(database, actor, odd)
    assert kind == "CREATED"
    async with database.read() as work:
        assert await work.session.scalar(select(Person.birth_family_name)) == "PAT-TROIS"
    assert await count(database, PersonIdentifier) == 1
    assert await register(database, actor, odd) == [("FOUND", one)]
    many = claim(*(Identifier("urn:many", str(n)) for n in range(1000)), born="2000-01-01")
    ((kind, two),) = await register(database, actor, many)
    assert kind == "CREATED" and one != two
    assert await count(database, PersonIdentifier) == 1 + queries.IDENTIFIERS_LIMIT


async def test_a_person_is_seen_by_themself_alone(database: Database) -> None:
    actor = await publisher(database)
    ((_, one),) = await register(database, actor, claim(INS, LOCAL))
    assert isinstance(one, UUID)
    me = Patient(one, UUID(int=1), Assurance.PASSWORD)
    others: list[Actor] = [
        Anonymous(),
        actor,
        CONSOLE,
        Operator(UUID(int=1), Assurance.PASSWORD),
        Professional(UUID(int=1), UUID(int=1), Assurance.PASSWORD),
        Patient(UUID(int=1), UUID(int=1), Assurance.PASSWORD),
    ]
    async with database.read() as work:
        seen = await records.persons(me, work, [one])
        assert seen[one].birth_family_name == "PAT-TROIS"
        numbers = await records.identifiers_of(me, work, [one])
        assert [row.is_national for row in numbers[one]] == [True, False]
        for other in others:
            assert await records.persons(other, work, [one]) == {}
            assert await records.identifiers_of(other, work, [one]) == {}
        assert await records.persons(me, work, [UUID(int=9)]) == {}


async def test_the_directory_is_for_whoever_signed_in(database: Database) -> None:
    async with database.write() as work:
        place = await register_organization(CONSOLE, work, "Cabinet des Lilas")
        doctor = await register_professional(
            CONSOLE,
            work,
            rpps="10101234564",
            family_name="BERNARD",
            given_name="Sophie",
            profession_code="10",
            speciality_code="SM26",
            organization_id=place,
        )
    patient = Patient(UUID(int=1), UUID(int=1), Assurance.PASSWORD)
    async with database.read() as work:
        found = await queries.professional(patient, work, doctor)
        assert (found.family_name, found.organization_id) == ("BERNARD", place)
        assert (await queries.organizations(patient, work, [place]))[place].name
        with pytest.raises(NotFound):
            await queries.professional(Anonymous(), work, doctor)
        assert await queries.organizations(Anonymous(), work, [place]) == {}
        assert await queries.publishers(Anonymous(), work, [place]) == {}


async def test_registers_are_brought_up_to_date_not_doubled(database: Database) -> None:
    finess = Identifier("1.2.250.1.71.4.2.2", "1330780000")

    async def enter(name: str, profession: str) -> tuple[UUID, UUID]:
        async with database.write() as work:
            place = await register_organization(CONSOLE, work, name, identifier=finess)
            doctor = await register_professional(
                CONSOLE,
                work,
                rpps="10101234564",
                family_name="BERNARD",
                given_name="Sophie",
                profession_code=profession,
                organization_id=place,
            )
            return place, doctor

    assert await enter("Hôpital", "10") == await enter("Centre hospitalier", "21")
    async with database.read() as work:
        assert list(await work.session.scalars(select(Organization.name))) == ["Centre hospitalier"]
        assert list(await work.session.scalars(select(ProfessionalRow.profession_code))) == ["21"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rpps": "10101234565"},
        {"rpps": "x"},
        {"family_name": " "},
        {"given_name": "x" * 201},
        {"profession_code": "10'--"},
        {"speciality_code": "é"},
    ],
)
async def test_a_wrong_entry_is_refused(database: Database, wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "rpps": "10101234564",
        "family_name": "BERNARD",
        "given_name": "Sophie",
        "profession_code": "10",
    }
    async with database.write() as work:
        with pytest.raises(ValidationFailed):
            await register_professional(CONSOLE, work, **(right | wrong))
    assert await count(database, ProfessionalRow) == 0


async def test_a_publishers_name_is_taken_once(database: Database) -> None:
    async with database.write() as work:
        await register_publisher(CONSOLE, work, "Laboratoire")
        with pytest.raises(Conflict):
            await register_publisher(CONSOLE, work, "Laboratoire")
        with pytest.raises(NotFound):
            await register_publisher(CONSOLE, work, "Other", organization_id=UUID(int=1))


async def test_nobody_gives_themselves_the_professional_role(
    database: Database, person_id: UUID, account_id: UUID
) -> None:
    """Neither over the network as anybody, nor by an operator who signed in."""
    async with database.write() as work:
        doctor = await register_professional(
            CONSOLE,
            work,
            rpps="10101234564",
            family_name="BERNARD",
            given_name="Sophie",
            profession_code="10",
        )
        operator = await create_account(CONSOLE, work, AccountKind.OPERATOR, login="operator")
        before = list((await work.session.execute(select(Account.__table__))).all())
    password = PasswordHash("x")
    everybody: list[tuple[Actor, type[Exception]]] = [
        (Anonymous(), Unauthenticated),
        (Patient(person_id, account_id, Assurance.PASSWORD), AccessDenied),
        (Patient(person_id, account_id, Assurance.SANDBOX), AccessDenied),
        (Professional(doctor, account_id, Assurance.IDENTITY_PROVIDER), AccessDenied),
        (Publisher(UUID(int=1)), AccessDenied),
        (Operator(operator, Assurance.PASSWORD), AccessDenied),
        (Operator(operator, Assurance.SANDBOX), AccessDenied),
    ]
    for actor, error in everybody:
        async with database.write() as work:
            for kind, owner in (
                (AccountKind.PROFESSIONAL, doctor),
                (AccountKind.PATIENT, person_id),
                (AccountKind.OPERATOR, None),
            ):
                with pytest.raises(error):
                    await create_account(actor, work, kind, owner, login="me")
            with pytest.raises(error):
                await link_identity(actor, work, account_id, issuer="https://x", subject="y")
            with pytest.raises(error):
                await set_password(actor, work, account_id, password)
            if not isinstance(actor, Operator):
                with pytest.raises(error):
                    await disable_account(actor, work, account_id)
                with pytest.raises(error):
                    await register_organization(actor, work, "x")
                with pytest.raises(error):
                    await register_professional(
                        actor,
                        work,
                        rpps="99700218896",
                        family_name="x",
                        given_name="y",
                        profession_code="10",
                    )
    async with database.read() as work:
        assert list((await work.session.execute(select(Account.__table__))).all()) == before
    assert await count(database, ProfessionalRow) == 1
    assert await count(database, Organization) == 0


@pytest.mark.parametrize(
    ("kind", "has_owner", "login", "password"),
    [
        (AccountKind.PATIENT, False, "someone", None),
        (AccountKind.PROFESSIONAL, False, "someone", None),
        (AccountKind.OPERATOR, True, "someone", None),
        (AccountKind.PATIENT, True, "ab", None),
        (AccountKind.PATIENT, True, "with space", None),
        (AccountKind.PATIENT, True, "é@example.org", None),
        (AccountKind.PATIENT, True, "x" * 255, None),
        (AccountKind.PATIENT, True, None, PasswordHash("x")),
    ],
)
async def test_a_wrong_account_is_refused(
    database: Database,
    person_id: UUID,
    kind: AccountKind,
    has_owner: bool,
    login: str | None,
    password: PasswordHash | None,
) -> None:
    owner = person_id if has_owner else None
    async with database.write() as work:
        with pytest.raises(ValidationFailed):
            await create_account(CONSOLE, work, kind, owner, login=login, password=password)
    assert await count(database, Account) == 0


async def test_a_login_and_a_subject_belong_to_one_account(
    database: Database, person_id: UUID
) -> None:
    async with database.write() as work:
        one = await create_account(CONSOLE, work, AccountKind.PATIENT, person_id, login="One@x.org")
        with pytest.raises(Conflict):
            await create_account(CONSOLE, work, AccountKind.PATIENT, person_id, login="one@X.org")
        with pytest.raises(NotFound):
            await create_account(CONSOLE, work, AccountKind.PATIENT, UUID(int=1), login="two")
        two = await create_account(CONSOLE, work, AccountKind.PATIENT, person_id)
        await link_identity(CONSOLE, work, one, issuer="https://idp", subject="s")
        with pytest.raises(Conflict):
            await link_identity(CONSOLE, work, two, issuer="https://idp", subject="s")
        with pytest.raises(NotFound):
            await link_identity(CONSOLE, work, UUID(int=1), issuer="https://idp", subject="t")
        with pytest.raises(NotFound):
            await set_password(CONSOLE, work, two, PasswordHash("x"))  # it has no login
    async with database.read() as work:
        rows = await work.session.execute(select(Account.id, Account.login, Account.subject))
        assert {tuple(row) for row in rows} == {(one, "one@x.org", "s"), (two, None, None)}
