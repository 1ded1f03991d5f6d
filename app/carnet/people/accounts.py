"""Accounts: made at the console, where the server runs, or by a holder with an enrolment code.

So nobody gives themselves a role, and an operator who is signed in over the network cannot make
a way into somebody's record.
"""

from __future__ import annotations

import re
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from carnet.errors import Conflict, NotFound, ValidationFailed
from carnet.people.actor import Actor, require_console, require_operator
from carnet.people.passwords import PasswordHash
from carnet.people.sessions import end_sessions
from carnet.people.tables import Account, AccountKind, Person, Professional
from carnet.store.database import Work

SUBJECT_LIMIT = 255  # characters; OpenID Connect Core, section 2
LOGIN_LIMIT = 254  # characters, as of an e-mail address
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._+@-]{2,253}", re.ASCII)


async def create_account(
    actor: Actor,
    work: Work,
    kind: AccountKind,
    owner_id: UUID | None = None,
    *,
    login: str | None = None,
    password: PasswordHash | None = None,
) -> UUID:
    """Make a way to sign in.

    Args:
        actor: the console.
        work: the transaction.
        kind: what the account acts as.
        owner_id: the person of a patient's account, the register's entry of a professional's;
            None for an operator's.
        login: 3 to 254 letters, digits and ``._+@-``; case is ignored.
        password: made by `Passwords.hash` with this login; None until one is set.

    Raises:
        AccessDenied: the actor is not the console.
        ValidationFailed: a login of another form, a password without a login, or an owner that
            does not go with the kind.
        NotFound: no such person or professional.
        Conflict: the login is taken.
    """
    require_console(actor)
    if (kind is AccountKind.OPERATOR) != (owner_id is None):
        raise ValidationFailed("Patients and professionals own their accounts; operators do not.")
    if password is not None and login is None:
        raise ValidationFailed("A password needs a login.", path=("login",))
    name = None if login is None else acceptable_login(login)
    if owner_id is not None:
        owner = Person if kind is AccountKind.PATIENT else Professional
        if await work.session.get(owner, owner_id) is None:
            raise NotFound()
    person_id = owner_id if kind is AccountKind.PATIENT else None
    professional_id = owner_id if kind is AccountKind.PROFESSIONAL else None
    return await _insert(work, kind, person_id, professional_id, name, password)


async def create_holders_account(
    work: Work, person_id: UUID, login: str, password: PasswordHash
) -> UUID:
    """Make the way to sign in of somebody who just proved to be this person.

    Args:
        work: the transaction of the proof, such as of an enrolment code.
        person_id: the person.
        login: from `acceptable_login`.
        password: made by `Passwords.hash` with this login.

    Raises:
        Conflict: the login is taken.
    """
    return await _insert(work, AccountKind.PATIENT, person_id, None, login, password)


async def _insert(
    work: Work,
    kind: AccountKind,
    person_id: UUID | None,
    professional_id: UUID | None,
    login: str | None,
    password: PasswordHash | None,
) -> UUID:
    made: UUID | None = await work.session.scalar(
        insert(Account)
        .values(
            id=work.new_id(),
            kind=kind,
            person_id=person_id,
            professional_id=professional_id,
            login=login,
            password_hash=None if password is None else password.text,
            created_at=work.now,
        )
        .on_conflict_do_nothing(index_elements=["login"])
        .returning(Account.id)
    )
    if made is None:
        raise Conflict("The login is taken.")
    return made


async def link_identity(
    actor: Actor, work: Work, account_id: UUID, *, issuer: str, subject: str
) -> None:
    """Let an account be used with access tokens of an identity provider for this subject.

    Raises:
        AccessDenied: the actor is not the console.
        ValidationFailed: issuer or subject is empty or too long.
        NotFound: no such account.
        Conflict: another account has this subject.
    """
    require_console(actor)
    if not 0 < len(subject) <= SUBJECT_LIMIT or not 0 < len(issuer) <= SUBJECT_LIMIT:
        raise ValidationFailed(f"Issuer and subject have 1 to {SUBJECT_LIMIT} characters.")
    try:
        async with work.savepoint():
            linked = await work.session.scalar(
                update(Account)
                .where(Account.id == account_id)
                .values(issuer=issuer, subject=subject)
                .returning(Account.id)
            )
    except IntegrityError:
        raise Conflict("Another account has this subject.") from None
    if linked is None:
        raise NotFound()


async def set_password(actor: Actor, work: Work, account_id: UUID, password: PasswordHash) -> None:
    """Replace an account's password, and end all its sessions.

    Raises:
        AccessDenied: the actor is not the console.
        NotFound: no such account with a login.
    """
    require_console(actor)
    changed = await work.session.scalar(
        update(Account)
        .where(Account.id == account_id, Account.login.is_not(None))
        .values(password_hash=password.text)
        .returning(Account.id)
    )
    if changed is None:
        raise NotFound()
    await end_sessions(work, account_id)


async def disable_account(actor: Actor, work: Work, account_id: UUID) -> None:
    """Close a way to sign in; its sessions and access tokens end at once.

    Raises:
        AccessDenied: the actor is no operator.
        NotFound: no such account, or it was disabled already.
    """
    require_operator(actor)
    disabled = await work.session.scalar(
        update(Account)
        .where(Account.id == account_id, Account.disabled_at.is_(None))
        .values(disabled_at=work.now)
        .returning(Account.id)
    )
    if disabled is None:
        raise NotFound()
    await end_sessions(work, account_id)


def acceptable_login(login: str) -> str:
    """Return the login as it is stored.

    Raises:
        ValidationFailed: it has another form.
    """
    name = normalized_login(login)
    if not is_login(name):
        raise ValidationFailed(
            "A login has 3 to 254 letters, digits and the signs . _ + @ -", path=("login",)
        )
    return name


async def restore_account(actor: Actor, work: Work, account_id: UUID) -> None:
    """Open a closed way to sign in again. Its old sessions stay ended.

    Raises:
        AccessDenied: the actor is not the console.
        NotFound: no such account, or it was not disabled.
    """
    require_console(actor)
    restored = await work.session.scalar(
        update(Account)
        .where(Account.id == account_id, Account.disabled_at.is_not(None))
        .values(disabled_at=None)
        .returning(Account.id)
    )
    if restored is None:
        raise NotFound()


def is_login(login: str) -> bool:
    """Tell whether an account may have this normalized login."""
    return _LOGIN.fullmatch(login) is not None


def normalized_login(login: str) -> str:
    """Return the login as it is stored and compared."""
    return login.strip().lower()
