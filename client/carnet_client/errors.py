"""What the messaging client raises, as one tree.

    ClientError
    ├── Unreachable            no answer, after several attempts
    ├── NotSignedIn            there is no session, or it is over
    ├── ServerFault            the server failed, or is no Carnet server
    ├── ServerRefusal          the server refused: `code`, `message`, `path`
    │   ├── NotFound           there is no such thing, or it is not ours to see
    │   ├── AccessDenied
    │   ├── Conflict
    │   ├── SignInFailed
    │   ├── RateLimited        `retry_after` seconds
    │   ├── QuotaExceeded
    │   ├── ValidationFailed
    │   ├── StaleChain         the chain has grown: read on and make the entry anew
    │   ├── StaleControlHead   the control log has grown: read on, and make it anew
    │   ├── StaleSequence      another number is next: `expected`
    │   ├── ThreadClosed
    │   ├── RotationDue        a new epoch has to begin first
    │   └── NotAllowedToOpen
    ├── KeyStoreError
    │   ├── NoKeyStore         this profile holds nothing yet
    │   ├── WrongPassphrase
    │   ├── DamagedKeyStore    the file is not what was written; it is left as it is
    │   └── KeyStoreInUse      another process has it open
    ├── Unsafe                 going on would betray somebody: `alarm` says what was found
    ├── NoAccount              nobody has enrolled with this profile
    ├── NotReadable            no key of ours opens it
    └── UserMistake            what was asked for makes no sense as it is

Only the messages of `ServerRefusal` come from the server; all others are ours. None holds a key, a
passphrase, or words of a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carnet_client.events import Alarm


class ClientError(Exception):
    """Something that the messaging client does not do, in one sentence."""


class Unreachable(ClientError):
    """The server does not answer."""


class NotSignedIn(ClientError):
    """There is no session, or it is over: sign in."""

    def __init__(self) -> None:
        super().__init__("You are not signed in, or your session is over: sign in again.")


class ServerFault(ClientError):
    """The server failed, or is no Carnet server."""


class ServerRefusal(ClientError):
    """The server refused, and nothing has changed there."""

    def __init__(self, code: str, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.path = path
        self.details: dict[str, Any] = {}


class NotFound(ServerRefusal):
    """There is no such thing, or it is not ours to see."""


class AccessDenied(ServerRefusal):
    """We may see it, and this is not ours to do."""


class Conflict(ServerRefusal):
    """It was changed meanwhile."""


class SignInFailed(ServerRefusal):
    """The login or the password is wrong."""


class RateLimited(ServerRefusal):
    """Too many attempts."""

    @property
    def retry_after(self) -> int:
        """After how many seconds another attempt makes sense."""
        return int(self.details.get("retryAfter") or 1)


class QuotaExceeded(ServerRefusal):
    """A limit is reached."""


class ValidationFailed(ServerRefusal):
    """The server takes no such input."""


class StaleChain(ServerRefusal):
    """The chain has grown meanwhile."""


class StaleControlHead(ServerRefusal):
    """The control log has grown meanwhile, perhaps by another epoch."""


class StaleSequence(ServerRefusal):
    """Another number of this device is next."""

    @property
    def expected(self) -> int:
        """Which one."""
        return int(self.details.get("expected") or 0)


class ThreadClosed(ServerRefusal):
    """The exchanges of this thread are over."""


class RotationDue(ServerRefusal):
    """A new epoch has to begin before anything is sent."""


class NotAllowedToOpen(ServerRefusal):
    """These people may not begin a thread."""


REFUSALS: dict[str, type[ServerRefusal]] = {
    kind.__name__: kind
    for kind in (
        NotFound,
        AccessDenied,
        Conflict,
        SignInFailed,
        RateLimited,
        QuotaExceeded,
        ValidationFailed,
        StaleChain,
        StaleControlHead,
        StaleSequence,
        ThreadClosed,
        RotationDue,
        NotAllowedToOpen,
    )
}
"""By the name of the type in the schema. Others are plain `ServerRefusal`."""


class KeyStoreError(ClientError):
    """The keys of this profile cannot be had."""


class NoKeyStore(KeyStoreError):
    """This profile holds nothing yet."""


class WrongPassphrase(KeyStoreError):
    """The passphrase is another one."""

    def __init__(self) -> None:
        super().__init__("The passphrase is wrong.")


class DamagedKeyStore(KeyStoreError):
    """The file is not what was written. It is left as it is."""


class KeyStoreInUse(KeyStoreError):
    """Another process has the profile open."""


class Unsafe(ClientError):
    """Going on would betray somebody."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(alarm.message)
        self.alarm = alarm


class NoAccount(ClientError):
    """Nobody has enrolled with this profile."""

    def __init__(self) -> None:
        super().__init__("This device is not enrolled: use enrol, pair or recover first.")


class NotReadable(ClientError):
    """No key of ours opens it."""


class UserMistake(ClientError):
    """What was asked for makes no sense as it is."""
