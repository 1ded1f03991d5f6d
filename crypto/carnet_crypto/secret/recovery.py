"""The recovery code: what brings an account back when all its devices are gone.

The code has 160 random bits, so no server can search for it; a passphrase may be added, and never
takes its place. From both come the recovery key pairs that the chain names, and the key of a
backup, which holds the root. Every encryption key is sealed for the recovery key inside a signed
entry of the chain; so nothing needs to be uploaded again, and nothing can be put in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import normalize

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.chain_bodies import RECOVERY_SALT, RecoverySet
from carnet_crypto.errors import Malformed, OpenFailed, ProtocolError, Reason, Refused
from carnet_crypto.hashing import derive, digest
from carnet_crypto.labels import Label
from carnet_crypto.padding import pad_to, strip
from carnet_crypto.secret.keys import Entropy, RootKey
from carnet_crypto.stretching import LEAST_MEMORY_KIB, LEAST_PASSES, check_cost
from carnet_crypto.values import AccountId, BoxPublic, BoxSecret, Digest, Key, SignSeed
from carnet_crypto.wire import Reader, u8, u32

MAGIC = b"CRNB\x01"
CODE_BYTES = 20
MOST_PASSPHRASE = 1024  # characters
BACKUP_BYTES = 4096  # of what is sealed: always the same, whatever is in it
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O or U
_CHARACTERS = 32
_CHECK = 2
_GROUP = 4
_SEPARATORS = "- \t\r\n"
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


class RecoveryCode:
    """160 random bits. Written as eight groups of four characters, and two to check them by."""

    __slots__ = ("_bits",)

    def __init__(self, bits: bytes) -> None:
        if len(bits) != CODE_BYTES:
            raise Malformed("a recovery code has 160 bits")
        self._bits = bits

    @staticmethod
    def generate(entropy: Entropy) -> RecoveryCode:
        """Return a new code."""
        return RecoveryCode(entropy(CODE_BYTES))

    @staticmethod
    def read(text: str) -> RecoveryCode:
        """Read a code as people type it: any case, any spaces or dashes, O for 0, I and L for 1.

        Raises:
            Malformed: it has other characters, too few or too many, or its check is wrong.
        """
        if not text.isascii():  # languages differ in what they take for spaces and capitals
            raise Malformed("a recovery code has 34 letters and digits")
        plain = "".join(c for c in text.upper() if c not in _SEPARATORS)
        plain = plain.translate(_LOOKALIKES)
        if len(plain) != _CHARACTERS + _CHECK or any(c not in _ALPHABET for c in plain):
            raise Malformed("a recovery code has 34 letters and digits")
        number = 0
        for character in plain[:_CHARACTERS]:
            number = number * 32 + _ALPHABET.index(character)
        code = RecoveryCode(number.to_bytes(CODE_BYTES, "big"))
        if code._check != plain[_CHARACTERS:]:
            raise Malformed("the recovery code is mistyped")
        return code

    @property
    def text(self) -> str:
        """The code as it is shown once, to be written down."""
        number = int.from_bytes(self._bits, "big")
        places = range(_CHARACTERS - 1, -1, -1)
        plain = "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in places)
        groups = [plain[at : at + _GROUP] for at in range(0, _CHARACTERS, _GROUP)]
        return "-".join([*groups, self._check])

    @property
    def bits(self) -> bytes:
        """The code's bytes."""
        return self._bits

    @property
    def _check(self) -> str:
        number = int.from_bytes(self._bits, "big") % 1021  # a prime below 32 * 32
        return _ALPHABET[number // 32] + _ALPHABET[number % 32]

    def __repr__(self) -> str:
        return "<RecoveryCode>"


@dataclass(frozen=True, slots=True)
class Stretching:
    """How a code and passphrase become keys: Argon2id's parameters."""

    passes: int
    memory_kib: int
    salt: bytes

    @staticmethod
    def default(entropy: Entropy) -> Stretching:
        """Return what every device can do: three passes over 64 MiB."""
        return Stretching(LEAST_PASSES, LEAST_MEMORY_KIB, entropy(RECOVERY_SALT))

    def check(self) -> None:
        """Refuse what is too cheap to hold, or too dear to be meant.

        Raises:
            Refused: it is so (`WEAK_PARAMETERS`).
        """
        check_cost(self.passes, self.memory_kib)
        if len(self.salt) != RECOVERY_SALT:
            raise Refused(Reason.WEAK_PARAMETERS)

    def encode(self) -> bytes:
        """Return its bytes."""
        return u8(self.passes) + u32(self.memory_kib) + self.salt


class RecoveryKeys:
    """What a code leads to. Shows nothing of itself."""

    __slots__ = ("_backup", "_box", "box", "signing", "stretching")

    def __init__(self, secret: Key, stretching: Stretching) -> None:
        self.stretching = stretching
        self._box = BoxSecret(derive(secret, Label.RECOVERY_BOX))
        self.box: BoxPublic = sodium.box_public(self._box)
        self.signing = sodium.SigningKey(SignSeed(derive(secret, Label.RECOVERY_SIGN)))
        self._backup = derive(secret, Label.RECOVERY_BLOB)

    @property
    def box_secret(self) -> BoxSecret:
        """What opens the recovery wraps of the chain."""
        return self._box

    @property
    def backup_key(self) -> Key:
        """What the backup's key and commitment are derived from."""
        return self._backup

    def __repr__(self) -> str:
        return "<RecoveryKeys>"


def stretch(code: RecoveryCode, passphrase: str, stretching: Stretching) -> RecoveryKeys:
    """Return the keys that a code, and a passphrase or none, lead to. Takes a fifth of a second.

    The passphrase is normalized (NFKC): keyboards type one text as different characters.

    Raises:
        Refused: the parameters are too cheap (`WEAK_PARAMETERS`); nothing is derived then.
        OpenFailed: this device has not the memory for it.
        Malformed: the passphrase is no Unicode text, or longer than anybody types.
    """
    stretching.check()
    stretched = sodium.argon2id(
        _passphrase(passphrase),
        stretching.salt,
        passes=stretching.passes,
        memory_kib=stretching.memory_kib,
    )
    return RecoveryKeys(derive(stretched, Label.RECOVERY, code.bits), stretching)


def _passphrase(passphrase: str) -> bytes:
    if len(passphrase) > MOST_PASSPHRASE:
        raise Malformed("a passphrase is too long")
    try:
        return normalize("NFKC", passphrase).encode()
    except UnicodeEncodeError as error:
        raise Malformed("a passphrase is not Unicode") from error


def seal_backup(keys: RecoveryKeys, account: AccountId, number: int, root: RootKey) -> bytes:
    """Return the backup of a root.

    Args:
        keys: that the code leads to.
        account: whose root it is.
        number: of the RECOVERY_SET entry that names this backup.
        root: the root.
    """
    start = MAGIC + keys.stretching.encode() + account + u32(number)
    commitment = derive(keys.backup_key, Label.RECOVERY_BLOB_COMMITMENT, start)
    key = derive(keys.backup_key, Label.RECOVERY_BLOB, start)
    plain = pad_to(root.secret_bytes(), BACKUP_BYTES)
    return start + commitment + sodium.encrypt(key, plain, start + commitment)


def backup_digest(backup: bytes) -> Digest:
    """Return what the chain says of a backup."""
    return digest(Label.BACKUP, backup)


def recovery_entry(keys: RecoveryKeys, backup: bytes) -> RecoverySet:
    """Return what the chain says of recovery."""
    how = keys.stretching
    return RecoverySet(
        keys.box,
        keys.signing.public,
        backup_digest(backup),
        how.passes,
        how.memory_kib,
        how.salt,
    )


def open_backup(
    backup: bytes, account: Account, code: RecoveryCode, passphrase: str
) -> tuple[RootKey, RecoveryKeys]:
    """Return the root that a backup holds, and the recovery keys.

    The parameters come from the account's verified chain, never from whoever hands the backup.

    Raises:
        OpenFailed: for every failure alike: another code or passphrase, a backup that is not the
            one the chain names, of another account, or with another root.
    """
    if account.recovery is None:
        raise OpenFailed
    body = account.recovery
    try:
        if backup_digest(backup) != body.backup:
            raise OpenFailed
        keys = stretch(code, passphrase, Stretching(body.passes, body.memory_kib, body.salt))
        if keys.box != body.recovery_box or keys.signing.public != body.recovery_sign:
            raise OpenFailed
        root = _open(backup, account, keys)
    except ProtocolError as error:
        raise OpenFailed from error
    if root.signing.public != account.root:
        raise OpenFailed
    return root, keys


def _open(backup: bytes, account: Account, keys: RecoveryKeys) -> RootKey:
    reader = Reader(backup)
    reader.magic(MAGIC)
    how = Stretching(reader.u8(), reader.u32(), reader.take(RECOVERY_SALT))
    if how != keys.stretching or reader.fixed(AccountId) != account.id:
        raise OpenFailed
    reader.u32()
    start = backup[: reader.at]
    commitment = reader.fixed(Digest)
    if not sodium.are_equal(
        derive(keys.backup_key, Label.RECOVERY_BLOB_COMMITMENT, start), commitment
    ):
        raise OpenFailed
    key = derive(keys.backup_key, Label.RECOVERY_BLOB, start)
    plain = sodium.decrypt(key, reader.rest(), start + commitment)
    if len(plain) != BACKUP_BYTES:
        raise OpenFailed
    return RootKey(SignSeed(strip(plain)))
