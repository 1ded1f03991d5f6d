"""What the protocol refuses, as one tree.

    ProtocolError
    ├── Malformed         not the one canonical form of anything the protocol knows
    │   └── DecodeError   a text that is not canonical base64url
    ├── Refused           well formed, and not allowed: `reason` names the broken rule
    ├── SignatureFailed   not signed by that key, under that label, over these bytes
    ├── ProofFailed       a Merkle proof that does not show what it is said to show
    └── OpenFailed        a ciphertext that cannot be opened: one error for every cause

No message holds bytes of what was refused. `OpenFailed` never says why: who sends ciphertexts and
sees what comes back must learn nothing from it (MEGA 2022; partitioning oracles, 2021).
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The rule that a well-formed thing breaks. The values are stable: vectors name them."""

    WRONG_ACCOUNT = "wrong-account"  # of another account, or of an id its bytes do not make
    WRONG_THREAD = "wrong-thread"
    OUT_OF_ORDER = "out-of-order"  # its number does not follow
    BROKEN_LINK = "broken-link"  # it follows another entry than ours
    TIME_REGRESSED = "time-regressed"
    AHEAD_OF_TIME = "ahead-of-time"  # dated after the moment by which it was there
    UNKNOWN_SIGNER = "unknown-signer"
    REVOKED_DEVICE = "revoked-device"
    EXPIRED_DEVICE = "expired-device"
    NOT_AUTHORIZED = "not-authorized"  # known, and this is not theirs to do
    BAD_KEY = "bad-key"  # a point of low or mixed order, or not the key's one encoding
    BAD_DEVICE_ID = "bad-device-id"
    DUPLICATE = "duplicate"
    TOO_MANY = "too-many"
    UNKNOWN_DEVICE = "unknown-device"
    UNKNOWN_MEMBER = "unknown-member"
    WRONG_GENERATION = "wrong-generation"
    INCOMPLETE_WRAPS = "incomplete-wraps"  # not exactly those who must get one
    WRONG_EPOCH = "wrong-epoch"
    ROTATION_DUE = "rotation-due"
    CLOSED = "closed"
    DELEGATION_FORBIDDEN = "delegation-forbidden"
    SUITE_TOO_LOW = "suite-too-low"
    STALE_CHECKPOINT = "stale-checkpoint"
    WRONG_LOG = "wrong-log"
    MISSING_WITNESS = "missing-witness"
    SHRUNK_LOG = "shrunk-log"
    SPLIT_VIEW = "split-view"
    WRONG_BINDING = "wrong-binding"
    WEAK_PARAMETERS = "weak-parameters"  # a key derivation too cheap to hold, or too dear to do
    MISMATCH = "mismatch"  # pairing: what the two devices show is not of the same keys
    LOCKED = "locked"  # pairing: too many failures


class ProtocolError(Exception):
    """Something that the protocol refuses."""


class Malformed(ProtocolError):
    """These bytes are not the canonical form of anything the protocol knows."""


class DecodeError(Malformed):
    """The text is not canonical base64url."""


class Refused(ProtocolError):
    """Well formed, and not allowed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class SignatureFailed(ProtocolError):
    """The signature is not that of this key over these bytes."""


class ProofFailed(ProtocolError):
    """The proof does not show what it is said to show."""


class OpenFailed(ProtocolError):
    """It cannot be opened."""

    def __init__(self) -> None:
        super().__init__("cannot be opened")
