"""The labels that keep every use of a key or hash apart from all others.

They are the one registry: `crypto/vectors/labels.json` holds the same for other implementations.
"""

from __future__ import annotations

from enum import StrEnum

CONTEXT = "carnet/1/"


class Label(StrEnum):
    """ASCII without NUL; the value is part of the protocol."""

    prefix: bytes
    """What stands before everything that this label is of."""

    def __new__(cls, value: str) -> Label:
        """Make a label, and its prefix once."""
        label = str.__new__(cls, value)
        label._value_ = value
        label.prefix = f"{CONTEXT}{value}\x00".encode("ascii")
        return label

    # digests
    ACCOUNT = "acct"  # GENESIS entry → account id
    ACCOUNT_ENTRY = "acct-entry"  # what the next entry of a chain links to
    DEVICE = "dev"  # sign key ‖ box key → device id
    ROOT_SIGNER = "root"  # root key → signer id
    RECOVERY_SIGNER = "recovery"  # recovery signing key → signer id
    AEK_COMMITMENT = "aekc"
    THREAD = "thread"  # CREATE entry → thread id
    THREAD_CONTEXT = "thread-ctx"  # creator ‖ nonce → what epochs and wraps are bound to
    CONTROL_ENTRY = "ctl-entry"
    EPOCH_COMMITMENT = "ek"
    WRAPS = "wraps"
    BODY = "bodyct"
    MESSAGE_ID = "mid"
    ENVELOPE = "env"  # how a relay names an envelope without opening it
    BACKUP = "backup"
    SAS_COMMITMENT = "sasc"
    SAS = "sas"
    # keys from keys
    AEK_BOX = "aek-x"
    AEK_STORE = "aek-store"
    MESSAGE = "mk"
    MESSAGE_COMMITMENT = "com"
    HEADER_KEY = "hdr"
    BODY_KEY = "body"
    BODY_SALTED = "bs"
    FILE = "file"
    FILE_COMMITMENT = "fcom"
    RECOVERY = "rec"
    RECOVERY_BOX = "rec-x"
    RECOVERY_SIGN = "rec-sign"
    RECOVERY_BLOB = "rec-blob"
    RECOVERY_BLOB_COMMITMENT = "rec-com"
    # signatures
    SIGN_ACCOUNT = "sig-acct"
    SIGN_POSSESSION = "sig-pop"
    SIGN_ROOT_CHANGE = "sig-root"
    SIGN_CONTROL = "sig-ctl"
    SIGN_MESSAGE = "msg"
    SIGN_BINDING = "sig-bind"
    SIGN_LOGIN = "sig-login"
    # what is sealed or bound as associated data
    WRAP = "wrap"
    AEK_WRAP = "aek-wrap"
    AEK_PREVIOUS = "aek-prev"
    CHUNK = "chunk"
    # others
    SAFETY = "safety"
    PROFESSIONAL = "pro"
