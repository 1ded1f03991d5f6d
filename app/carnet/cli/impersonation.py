"""Becoming a person of the sandbox, by national number or name. Sandbox only: no right is asked.

Whoever was registered by an intake has no way to sign in yet; they get an account here.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from carnet.cli.console import CONSOLE
from carnet.cli.filling import require_sandbox, secrets_of
from carnet.cli.workspace import Workspace
from carnet.errors import UserMistake
from carnet.people.accounts import create_account
from carnet.people.actor import Assurance
from carnet.people.identifiers import fold_name
from carnet.people.sessions import open_session
from carnet.people.tables import Account, AccountKind, Person, PersonIdentifier
from carnet.sandbox.personas import HANDLES, SOFTWARE
from carnet.sandbox.relations import login_of
from carnet.store.database import Work

NIR_LENGTH = 13  # characters without the key


async def token_for(opened: Workspace, name: str) -> str:
    """Return a bearer token of whoever is called so in the sandbox.

    Args:
        opened: the stores.
        name: a handle of `carnet.sandbox.personas`, or what `account_of_person` takes.

    Raises:
        UserMistake: there is no sandbox, or nobody or several people are meant.
    """
    handle = name.strip().lower()
    async with opened.database.write() as work:
        await require_sandbox(opened.settings, work)
        if handle in {software.handle for software in SOFTWARE}:
            secret = secrets_of(opened.settings).get(handle)
            if secret is None:
                raise UserMistake("Its secret is not here; `carnet sandbox load` makes a new one.")
            return secret
        if handle in HANDLES:
            account = await work.session.scalar(
                select(Account).where(Account.login == login_of(handle))
            )
            if account is None:
                raise UserMistake("The sandbox is not whole; `carnet sandbox load` repairs it.")
        else:
            account = await account_of_person(work, name)
        session = await open_session(work, account, Assurance.SANDBOX, "carnet token")
    return session.token


async def account_of_person(work: Work, name: str) -> Account:
    """Return an account of the person, made now if there is none.

    Args:
        work: a write.
        name: a national number with or without its key, a family name, or given name and family
            name in either order; case, accents and hyphens do not matter.

    Raises:
        UserMistake: nobody or several people are meant.
    """
    number = "".join(name.split()).upper()
    is_number = any(letter.isdigit() for letter in number)
    found = await (_by_number(work, number) if is_number else _by_name(work, name))
    if not found:
        raise UserMistake("Nobody in the sandbox is called so; `carnet token --list` shows who is.")
    if len(found) > 1:
        raise UserMistake(
            f"{len(found)} people are called so; give a given name as well, or a national number."
        )
    return await _account(work, found.pop())


async def _by_number(work: Work, number: str) -> set[UUID]:
    whole = select(PersonIdentifier.person_id).where(
        PersonIdentifier.value.in_({number, number[:NIR_LENGTH]})
    )
    found = set(await work.session.scalars(whole))
    if not found and len(number) == NIR_LENGTH:
        keyed = select(PersonIdentifier.person_id).where(
            PersonIdentifier.is_national,
            PersonIdentifier.value.startswith(number, autoescape=True),
        )
        found = set(await work.session.scalars(keyed))
    return found


async def _by_name(work: Work, name: str) -> set[UUID]:
    """Look at everybody: a sandbox is small, and names are folded by one rule only."""
    wanted = fold_name(name)
    columns = (Person.id, Person.birth_family_name, Person.used_family_name, Person.given_names)
    by_family: set[UUID] = set()
    by_both: set[UUID] = set()
    rows = await work.session.stream(select(*columns))
    async for person_id, birth_name, used_name, given_names in rows:
        for family in {fold_name(birth_name), fold_name(used_name or "")} - {""}:
            if family == wanted:
                by_family.add(person_id)
            for given in map(fold_name, given_names):
                if wanted in {given + family, family + given}:
                    by_both.add(person_id)
    return by_both or by_family


async def _account(work: Work, person_id: UUID) -> Account:
    known = await work.session.scalar(
        select(Account)
        .where(Account.person_id == person_id, Account.disabled_at.is_(None))
        .order_by(Account.id)
        .limit(1)
    )
    if known is not None:
        return known
    made = await create_account(CONSOLE, work, AccountKind.PATIENT, person_id)
    return await work.session.get_one(Account, made)
