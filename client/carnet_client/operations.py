"""Every GraphQL document that the client sends, in one place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from graphql import parse, print_ast

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

_ACCOUNT = "accountId kind displayName number"
_PAGE = "pageInfo { hasNextPage endCursor }"
_PERSON = "givenNames birthFamilyName usedFamilyName"

VIEWER = query(
    "Viewer",
    "viewer",
    "",
    "viewer { __typename "
    f"... on Patient {{ id {_PERSON} record {{ id }} messagingAccounts {{ {_ACCOUNT} }} }} "
    "... on Professional { id givenName familyName rpps organization { id name } "
    f"messagingAccounts {{ {_ACCOUNT} }} }} }}",
)
CARE_TEAM = query(
    "CareTeam",
    "viewer",
    "($after: Cursor)",
    "viewer { ... on Patient { record { access { careTeam(first: 100, after: $after) { edges { "
    f"node {{ professional {{ givenName familyName rpps messagingAccount {{ {_ACCOUNT} }} }} "
    f"organization {{ name messagingAccount {{ {_ACCOUNT} }} }} }} }} {_PAGE} }} }} }} }} }}",
)
PATIENTS = query(
    "Patients",
    "viewer",
    "($after: Cursor)",
    "viewer { ... on Professional { patients(first: 100, after: $after) { edges { node { id "
    f"holder {{ {_PERSON} messagingAccount {{ {_ACCOUNT} }} }} }} }} {_PAGE} }} }} }}",
)
ACTS_FOR = query(
    "ActsFor",
    "viewer",
    "",
    "viewer { ... on Patient { actsFor(first: 100) { edges { node { scopes "
    f"holder {{ {_PERSON} record {{ id }} messagingAccount {{ {_ACCOUNT} }} }} }} }} }} }} }}",
)

CHAINS = query(
    "Chains",
    "messagingAccounts",
    "($ids: [Base64Bytes!]!, $after: Cursor)",
    f"messagingAccounts(accountIds: $ids) {{ {_ACCOUNT} "
    "bindings { binding blind leafIndex } "
    "entries(first: 100, after: $after) { edges { node { number entry blind leafIndex } } "
    f"{_PAGE} }} }}",
)
DIRECTORY = query("Directory", "keyDirectory", "", "keyDirectory { checkpoint logKey }")
PROOFS = query(
    "Proofs",
    "keyDirectory",
    "($leaves: [Int!]!, $size: Int!)",
    "keyDirectory { inclusionProofs(leafIndexes: $leaves, size: $size) { leafIndex hashes } }",
)
CONSISTENCY = query(
    "Consistency",
    "keyDirectory",
    "($since: Int!, $size: Int!)",
    "keyDirectory { consistencyProof(since: $since, size: $size) }",
)
BACKUP = query("Backup", "recoveryBackup", "($id: Base64Bytes!)", "recoveryBackup(accountId: $id)")
PAIRING = query(
    "Pairing",
    "pairingMessages",
    "($after: Int!)",
    "pairingMessages(after: $after) { number message }",
)

CREATE_ACCOUNT = mutation(
    "createMessagingAccount", "CreateMessagingAccountSuccess { account { accountId } }"
)
APPEND_ENTRIES = mutation(
    "appendMessagingAccountEntries",
    "AppendMessagingAccountEntriesSuccess { account { number } }",
)
PUT_BACKUP = mutation("putRecoveryBackup", "PutRecoveryBackupSuccess { account { number } }")
POST_PAIRING = mutation("postPairingMessage", "PostPairingMessageSuccess { number }")

_THREAD = (
    "id protocolId state controlNumber lastNumber unreadCount createdAt lastActivityAt "
    f"members {{ role account {{ {_ACCOUNT} }} }}"
)
_MESSAGE = "id number envelope receivedAt attachments { url size }"
_THREADS = f"threads(first: $first, after: $after) {{ edges {{ node {{ {_THREAD} }} }} {_PAGE} }}"
THREADS = query(
    "Threads",
    "viewer",
    "($after: Cursor, $first: Int!)",
    f"viewer {{ ... on Patient {{ {_THREADS} }} ... on Professional {{ {_THREADS} }} }}",
)
THREAD = query(
    "Thread",
    "node",
    "($id: ID!, $control: Cursor, $messages: Cursor)",
    f"node(id: $id) {{ ... on Thread {{ {_THREAD} wraps {{ accountId epoch wrap }} "
    "controlEntries(first: 100, after: $control) { edges { node { number entry } } "
    f"{_PAGE} }} "
    "messages(first: 100, after: $messages) { edges { node { "
    f"{_MESSAGE} }} }} {_PAGE} }} }} }}",
)
CONTROL = query(
    "Control",
    "node",
    "($id: ID!, $control: Cursor)",
    f"node(id: $id) {{ ... on Thread {{ {_THREAD} wraps {{ accountId epoch wrap }} "
    "controlEntries(first: 100, after: $control) { edges { node { number entry } } "
    f"{_PAGE} }} }} }}",
)
OPEN_THREAD = mutation("openThread", "OpenThreadSuccess { thread { id protocolId } }")
APPEND_CONTROL = mutation("appendControlEntry", "AppendControlEntrySuccess { thread { id } }")
SEND = mutation(
    "sendMessage",
    "SendMessageSuccess { sent { id number } }",
    "... on StaleSequence { expected }",
)
ERASE = mutation("eraseMessage", "EraseMessageSuccess { erased { id } }")
MARK_READ = mutation("markThreadRead", "MarkThreadReadSuccess { thread { unreadCount } }")
INBOX = Operation(
    "Inbox",
    "inboxEvents",
    "subscription Inbox($after: Cursor) { inboxEvents(after: $after) { __typename "
    "... on CaughtUp { cursor } "
    "... on MessageReceived { cursor thread { id protocolId } } "
    f"... on MessageErased {{ cursor thread {{ id protocolId }} message {{ {_MESSAGE} }} }} "
    "... on ThreadLogGrown { cursor thread { id protocolId } } "
    "... on DocumentDeposited { cursor } ... on DocumentReplaced { cursor } "
    "... on DocumentChanged { cursor } ... on DocumentRemoved { cursor } "
    "... on NotificationReceived { cursor } ... on NotificationRead { cursor } } }",
)

DOCUMENT = query(
    "DocumentContent",
    "node",
    "($id: ID!)",
    "node(id: $id) { ... on Document { title contents { part role mediaType fileName sizeBytes "
    "url } } }",
)
ADD_DOCUMENT = mutation("addDocument", "AddDocumentSuccess { document { id } }")


def registry() -> dict[str, str]:
    """Return SHA-256 → text of everything that is sent, for servers that run nothing else."""
    texts = [each.text for each in globals().values() if isinstance(each, Operation)]
    # The gql library prints a subscription anew before it sends it.
    texts += [print_ast(parse(text)) for text in texts]
    return {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
