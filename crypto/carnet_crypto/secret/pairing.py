"""Adding a device: both devices make sure that each sees the other's keys, and nobody between.

With a camera, each scans what the other shows. Without one, they exchange a commitment, an answer
and a reveal over anything, and both people compare twelve digits (Vaudenay, CRYPTO 2005): whoever
stands between must fix their keys before they know the digits, and has one try in 10^12.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.admission import admit_box_key, admit_sign_key
from carnet_crypto.chain import device_id, possession_of_device
from carnet_crypto.errors import Reason, Refused
from carnet_crypto.hashing import digest
from carnet_crypto.kinds import DeviceFlag
from carnet_crypto.labels import Label
from carnet_crypto.secret.identity import DeviceOffer, offer
from carnet_crypto.secret.keys import DeviceKeys, Entropy
from carnet_crypto.values import (
    AccountId,
    BoxPublic,
    Digest,
    Signature,
    SignPublic,
)
from carnet_crypto.wire import Reader, u8, u64

MAGIC_OFFER = b"CRNQ\x01"  # the new device shows
MAGIC_ANSWER = b"CRNR\x01"  # the old device shows
MAGIC_COMMIT = b"CRNS\x01"
MAGIC_REPLY = b"CRNT\x01"
MAGIC_REVEAL = b"CRNU\x01"
MAGIC_POSSESSION = b"CRNP\x01"
NONCE_BYTES = 16
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """Which account an old device speaks for."""

    account: AccountId
    root: SignPublic


class NewDevice:
    """The side of the device that is to be added."""

    def __init__(self, keys: DeviceKeys, flag: DeviceFlag, entropy: Entropy) -> None:
        self._keys, self._flag = keys, flag
        self._nonce = entropy(NONCE_BYTES)
        self._public = keys.signing.public + keys.box
        self._has_revealed = False

    # --- by camera

    def show(self) -> bytes:
        """Return what the new device shows as a QR code."""
        return MAGIC_OFFER + self._public + self._nonce

    def scan(self, shown: bytes) -> Answer:
        """Take what the old device shows in return.

        Raises:
            Malformed: it is something else.
            Refused: it answers another device (`MISMATCH`).
        """
        reader = Reader(shown)
        reader.magic(MAGIC_ANSWER)
        answer = Answer(reader.fixed(AccountId), reader.fixed(SignPublic))
        seen = reader.fixed(Digest)
        reader.end()
        if not sodium.are_equal(seen, digest(Label.SAS, self.show())):
            raise Refused(Reason.MISMATCH)
        return answer

    # --- by digits

    def commit(self) -> bytes:
        """Return the first message."""
        return MAGIC_COMMIT + digest(Label.SAS_COMMITMENT, self._public, self._nonce)

    def reveal(self, reply: bytes) -> tuple[bytes, Answer, str]:
        """Return the third message, whom the other speaks for, and the digits to compare.

        Raises:
            Malformed: the reply is something else.
            Refused: this was revealed already: one exchange, one try (`LOCKED`).
        """
        answer, nonce = _read_reply(reply)
        if self._has_revealed:
            raise Refused(Reason.LOCKED)
        self._has_revealed = True
        digits = _digits(self._public, self._nonce, answer, nonce)
        return MAGIC_REVEAL + self._public + self._nonce, answer, digits

    # --- both

    def prove(self, answer: Answer, not_after: int = 0) -> bytes:
        """Return what the old device needs to add this one, once people have compared.

        Args:
            answer: which account it is for.
            not_after: until when the device is one, in milliseconds since 1970; 0 for no end.
        """
        made = offer(answer.account, self._keys, self._flag, not_after)
        return (
            MAGIC_POSSESSION
            + made.sign
            + made.box
            + u8(made.flag)
            + u64(made.not_after)
            + made.possession
        )


class OldDevice:
    """The side of a device that holds the root. After three failures it has to begin anew."""

    def __init__(self, account: Account, entropy: Entropy) -> None:
        self._account = account
        self._answer = Answer(account.id, account.root)
        self._entropy = entropy
        self._failures = 0
        self._committed: bytes | None = None
        self._nonce = b""
        self._seen: bytes | None = None

    # --- by camera

    def scan(self, shown: bytes) -> bytes:
        """Take what the new device shows; return what to show in return.

        Raises:
            Malformed: it is something else.
            Refused: too many tries failed (`LOCKED`).
        """
        self._check_open()
        reader = Reader(shown)
        reader.magic(MAGIC_OFFER)
        self._seen = reader.take(SignPublic.SIZE + BoxPublic.SIZE)
        reader.take(NONCE_BYTES)
        reader.end()
        return MAGIC_ANSWER + self._account.id + self._account.root + digest(Label.SAS, shown)

    # --- by digits

    def reply(self, commitment: bytes) -> bytes:
        """Return the second message. Each commitment gets one; one that is left counts as failed.

        Raises:
            Malformed: it is something else.
            Refused: too many tries failed (`LOCKED`).
        """
        self._check_open()
        reader = Reader(commitment)
        reader.magic(MAGIC_COMMIT)
        committed = reader.fixed(Digest)
        reader.end()
        if self._committed is not None or self._seen is not None:
            self.refuse()  # a try that was begun and left is one that failed
            self._check_open()
        self._committed = committed
        self._nonce = self._entropy(NONCE_BYTES)
        return MAGIC_REPLY + self._account.id + self._account.root + self._nonce

    def compare(self, revealed: bytes) -> str:
        """Return the digits to compare.

        Raises:
            Malformed: it is something else.
            Refused: it is not what was committed to (`MISMATCH`), or too many tries failed
                (`LOCKED`).
        """
        self._check_open()
        reader = Reader(revealed)
        reader.magic(MAGIC_REVEAL)
        public = reader.take(SignPublic.SIZE + BoxPublic.SIZE)
        nonce = reader.take(NONCE_BYTES)
        reader.end()
        committed, self._committed = self._committed, None
        made = digest(Label.SAS_COMMITMENT, public, nonce)
        if committed is None or not sodium.are_equal(committed, made):
            self.refuse()
            raise Refused(Reason.MISMATCH)
        self._seen = public
        return _digits(public, nonce, self._answer, self._nonce)

    def refuse(self) -> None:
        """Take the user's word that the digits differ."""
        self._failures += 1
        self._committed = self._seen = None

    # --- both

    def accept(self, proved: bytes) -> DeviceOffer:
        """Return the device to add, once people have compared.

        Raises:
            Malformed: it is something else.
            Refused: it is another device than was seen (`MISMATCH`), its keys are bad, or too many
                tries failed (`LOCKED`).
            SignatureFailed: it does not hold its key.
        """
        self._check_open()
        reader = Reader(proved)
        reader.magic(MAGIC_POSSESSION)
        sign, box = reader.fixed(SignPublic), reader.fixed(BoxPublic)
        flag, not_after = reader.enum(DeviceFlag), reader.u64()
        possession = reader.fixed(Signature)
        reader.end()
        seen, self._seen = self._seen, None
        if seen is None or not sodium.are_equal(seen, sign + box):
            self.refuse()
            raise Refused(Reason.MISMATCH)
        admit_sign_key(sign)
        admit_box_key(box)
        shown = possession_of_device(self._account.id, sign, box, flag, not_after)
        sodium.verify(sign, Label.SIGN_POSSESSION, shown, possession)
        return DeviceOffer(device_id(sign, box), sign, box, flag, not_after, possession)

    def _check_open(self) -> None:
        if self._failures >= MOST_ATTEMPTS:
            raise Refused(Reason.LOCKED)


def _read_reply(reply: bytes) -> tuple[Answer, bytes]:
    reader = Reader(reply)
    reader.magic(MAGIC_REPLY)
    answer = Answer(reader.fixed(AccountId), reader.fixed(SignPublic))
    nonce = reader.take(NONCE_BYTES)
    reader.end()
    return answer, nonce


def _digits(public: bytes, nonce: bytes, answer: Answer, other: bytes) -> str:
    transcript = public + nonce + answer.account + answer.root + other
    number = int.from_bytes(digest(Label.SAS, transcript)[:8], "big") % 10**12
    plain = f"{number:012d}"
    return " ".join(plain[at : at + 4] for at in range(0, 12, 4))
