"""Every GraphQL document that the client sends, in one place."""

from __future__ import annotations

from dataclasses import dataclass

ERROR = "... on UserError { code message path }"


@dataclass(frozen=True, slots=True)
class Operation:
    """A document with one operation, and the field that its answer is in."""

    name: str
    field: str
    text: str


def mutation(name: str, success: str, more: str = "") -> Operation:
    """Return the document of a mutation that takes one input.

    Args:
        name: of its field.
        success: what is asked of its success: ``SignInSuccess { token }``.
        more: what is asked of refusals beside code, message and path.
    """
    title = name[0].upper() + name[1:]
    text = (
        f"mutation {title}($input: {title}Input!) {{ {name}(input: $input) "
        f"{{ __typename {ERROR} ... on {success} {more} }} }}"
    )
    return Operation(title, name, text)


def query(name: str, field: str, variables: str, body: str) -> Operation:
    """Return the document of a query."""
    return Operation(name, field, f"query {name}{variables} {{ {body} }}")


SIGN_IN = mutation("signIn", "SignInSuccess { token expiresAt sessionId }")
SIGN_OUT = Operation(
    "SignOut",
    "signOut",
    f"mutation SignOut {{ signOut {{ __typename {ERROR} "
    "... on SignOutSuccess { signedOut } } }",
)
