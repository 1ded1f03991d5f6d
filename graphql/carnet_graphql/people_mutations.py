"""Signing in and out, sessions and passwords."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from carnet.people import actions
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    NotFound,
    RateLimited,
    SignInFailed,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.node import read_id, write_id
from carnet_graphql.sessions import Session


@strawberry.input(description="A login and its password.")
class SignInInput:
    """Input of `signIn`. Signing in twice makes two sessions, so it takes no idempotency key."""

    login: str = strawberry.field(description="Login, such as an e-mail address.")
    password: str = strawberry.field(description="Password.")
    device_name: str | None = strawberry.field(
        default=None, description="How this session is shown in the list of sessions."
    )


@strawberry.input(description="Which session to end.")
class RevokeSessionInput:
    """Input of `revokeSession`."""

    session_id: strawberry.ID = strawberry.field(description="A session of yours.")


@strawberry.input(description="The password you have and the one you want.")
class ChangePasswordInput:
    """Input of `changePassword`."""

    current_password: str = strawberry.field(description="The password you have.")
    new_password: str = strawberry.field(
        description="The password you want: at least 12 characters."
    )


@strawberry.type(description="You are signed in.")
class SignInSuccess:
    """Success of `signIn`."""

    token: str = strawberry.field(
        description="Send it as `Authorization: Bearer …`. It is shown only here."
    )
    session_id: strawberry.ID = strawberry.field(description="Names the session.")
    expires_at: datetime = strawberry.field(description="When it ends at the latest.")


@strawberry.type(description="The session of this request has ended.")
class SignOutSuccess:
    """Success of `signOut`."""

    signed_out: bool = strawberry.field(description="Always true.")


@strawberry.type(description="Sessions have ended.")
class RevokeSessionSuccess:
    """Success of `revokeSession`."""

    revoked_session_id: strawberry.ID = strawberry.field(description="The session that ended.")


@strawberry.type(description="All other sessions have ended.")
class RevokeOtherSessionsSuccess:
    """Success of `revokeOtherSessions`."""

    revoked_count: int = strawberry.field(description="How many ended.")


@strawberry.type(description="The password is changed, and all other sessions have ended.")
class ChangePasswordSuccess:
    """Success of `changePassword`."""

    revoked_count: int = strawberry.field(description="How many sessions ended.")


SignInPayload = Annotated[
    SignInSuccess | RateLimited | SignInFailed,
    strawberry.union("SignInPayload", description="What came of signing in."),
]
SignOutPayload = Annotated[
    SignOutSuccess | NotFound | Unauthenticated,
    strawberry.union("SignOutPayload", description="What came of signing out."),
]
RevokeSessionPayload = Annotated[
    RevokeSessionSuccess | NotFound | Unauthenticated,
    strawberry.union("RevokeSessionPayload", description="What came of ending a session."),
]
RevokeOtherSessionsPayload = Annotated[
    RevokeOtherSessionsSuccess | Unauthenticated,
    strawberry.union("RevokeOtherSessionsPayload", description="What came of ending sessions."),
]
ChangePasswordPayload = Annotated[
    ChangePasswordSuccess
    | NotFound
    | RateLimited
    | SignInFailed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ChangePasswordPayload", description="What came of the change."),
]


@strawberry.type
class PeopleMutation:
    """Mutations of accounts and sessions."""

    @strawberry.mutation(description="Sign in with a password.")
    async def sign_in(self, info: Info, input: SignInInput) -> SignInPayload:
        """Open a session."""
        context = info.context
        opened = await actions.sign_in(
            context.gate, input.login, input.password, context.address, input.device_name
        )
        return SignInSuccess(
            token=opened.token,
            session_id=write_id(Session, opened.session_id),
            expires_at=opened.expires_at,
        )

    @strawberry.mutation(description="End the session of this request.")
    async def sign_out(self, info: Info) -> SignOutPayload:
        """End this session."""
        async with info.context.database.write() as work:
            await actions.sign_out(info.context.actor, work)
        return SignOutSuccess(signed_out=True)

    @strawberry.mutation(description="End one of your sessions, such as that of a lost phone.")
    async def revoke_session(self, info: Info, input: RevokeSessionInput) -> RevokeSessionPayload:
        """End a session."""
        session_id = read_id(input.session_id, Session, "sessionId")
        async with info.context.database.write() as work:
            await actions.revoke_session(info.context.actor, work, session_id)
        return RevokeSessionSuccess(revoked_session_id=input.session_id)

    @strawberry.mutation(description="End all your sessions but this one.")
    async def revoke_other_sessions(self, info: Info) -> RevokeOtherSessionsPayload:
        """End the other sessions."""
        async with info.context.database.write() as work:
            count = await actions.revoke_all_sessions(info.context.actor, work, keep_this=True)
        return RevokeOtherSessionsSuccess(revoked_count=count)

    @strawberry.mutation(description="Change your password; all other sessions end.")
    async def change_password(
        self, info: Info, input: ChangePasswordInput
    ) -> ChangePasswordPayload:
        """Change the password."""
        context = info.context
        count = await actions.change_password(
            context.actor,
            context.gate,
            input.current_password,
            input.new_password,
            context.address,
        )
        return ChangePasswordSuccess(revoked_count=count)
