"""The primitives, from libsodium. The only module that knows `nacl`.

It takes values of fixed length only, because the bindings do not check lengths, and it maps every
failure to one of two errors: `SignatureFailed`, `OpenFailed`. What each primitive does not promise:

- XChaCha20-Poly1305, secretstream and sealed boxes do not commit to their key: one ciphertext can
  open under two. Whoever uses them carries a commitment beside.
- A sealed box says nothing of who sealed it.
- An Ed25519 signature by a key of low order holds for many messages: keys are admitted first.
"""

from __future__ import annotations

from hashlib import blake2b

from nacl import bindings
from nacl.exceptions import CryptoError

from carnet_crypto.errors import OpenFailed, SignatureFailed
from carnet_crypto.labels import Label
from carnet_crypto.values import BoxPublic, BoxSecret, Key, Signature, SignPublic, SignSeed

SEAL_OVERHEAD = 48  # bytes: an ephemeral key and a tag
AEAD_OVERHEAD = 16  # bytes
CHUNK_OVERHEAD = 17  # bytes that secretstream adds to a chunk
STREAM_HEADER = 24  # bytes
TAG_MESSAGE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
TAG_FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL

# Each key seals once: the nonce has nothing to tell apart.
_ONLY_NONCE = bytes(24)
_FAILURES = (CryptoError, TypeError, ValueError)


def verify(public: SignPublic, label: Label, message: bytes, signature: Signature) -> None:
    """Check a signature over a message under a label.

    Raises:
        SignatureFailed: it does not hold.
    """
    try:
        bindings.crypto_sign_open(signature + label.prefix + message, public)
    except _FAILURES as error:
        raise SignatureFailed("the signature is wrong") from error


def verify_plain(public: SignPublic, message: bytes, signature: Signature) -> None:
    """Check a signature in a format of somebody else's, that has no labels of ours.

    Raises:
        SignatureFailed: it does not hold.
    """
    try:
        bindings.crypto_sign_open(signature + message, public)
    except _FAILURES as error:
        raise SignatureFailed("the signature is wrong") from error


def is_valid_point(public: SignPublic) -> bool:
    """Whether this is the canonical encoding of a point of the prime-order group."""
    try:
        return bool(bindings.crypto_core_ed25519_is_valid_point(public))
    except _FAILURES:
        return False


def has_shared_secret(public: BoxPublic) -> bool:
    """Whether a Diffie-Hellman with this key does not end in zero."""
    try:
        bindings.crypto_scalarmult(b"\x01" * 32, public)
    except _FAILURES:
        return False
    return True


def sign(seed: SignSeed, label: Label, message: bytes) -> Signature:
    """Return the signature of a message under a label."""
    return SigningKey(seed).sign(label, message)


class SigningKey:
    """An Ed25519 key pair that is expanded once. Shows nothing of itself."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: SignSeed) -> None:
        public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.public = SignPublic(public)

    def sign(self, label: Label, message: bytes) -> Signature:
        """Return the signature of a message under a label."""
        return Signature(bindings.crypto_sign(label.prefix + message, self._secret)[:64])

    def __repr__(self) -> str:
        return f"<SigningKey of {self.public!r}>"


def sign_public(seed: SignSeed) -> SignPublic:
    """Return the public half of a signing key."""
    return SignPublic(bindings.crypto_sign_seed_keypair(seed)[0])


def box_public(secret: BoxSecret) -> BoxPublic:
    """Return the public half of a box key."""
    return BoxPublic(bindings.crypto_scalarmult_base(secret))


def seal(message: bytes, public: BoxPublic, ephemeral: BoxSecret) -> bytes:
    """Return a sealed box (crypto_box_seal): only the holder of a key can open it.

    Args:
        message: what is sealed.
        public: whose it will be.
        ephemeral: a random key for this box only, and for nothing else.

    Raises:
        OpenFailed: nobody can hold the secret of such a key.
    """
    own = box_public(ephemeral)
    nonce = blake2b(own + public, digest_size=24).digest()
    try:
        return own + bindings.crypto_box(message, nonce, public, ephemeral)
    except _FAILURES as error:
        raise OpenFailed from error


def open_sealed(box: bytes, public: BoxPublic, secret: BoxSecret) -> bytes:
    """Return what was sealed for this pair of keys.

    Raises:
        OpenFailed: it was not, or was changed.
    """
    try:
        return bindings.crypto_box_seal_open(box, public, secret)
    except _FAILURES as error:
        raise OpenFailed from error


def encrypt(key: Key, message: bytes, associated: bytes) -> bytes:
    """Return XChaCha20-Poly1305 of a message under a key that is used this once."""
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        message, associated, _ONLY_NONCE, key
    )


def decrypt(key: Key, ciphertext: bytes, associated: bytes) -> bytes:
    """Return what `encrypt` was given.

    Raises:
        OpenFailed: it is another key, other associated data, or was changed.
    """
    if len(ciphertext) < AEAD_OVERHEAD:
        raise OpenFailed
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            ciphertext, associated, _ONLY_NONCE, key
        )
    except _FAILURES as error:
        raise OpenFailed from error


class PushStream:
    """Seals chunks one after the other (secretstream), behind a random header."""

    __slots__ = ("_state",)

    def __init__(self, header: bytes, key: Key) -> None:
        if len(header) != STREAM_HEADER:
            raise OpenFailed
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        # init_push would draw a header of its own, and then do just what init_pull does with ours.
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(self._state, header, key)

    def push(self, chunk: bytes, associated: bytes, *, is_final: bool) -> bytes:
        """Return a chunk sealed."""
        return bindings.crypto_secretstream_xchacha20poly1305_push(
            self._state, chunk, associated, TAG_FINAL if is_final else TAG_MESSAGE
        )


class PullStream:
    """Opens the chunks of a `PushStream`, in their order."""

    __slots__ = ("_is_over", "_state")

    def __init__(self, header: bytes, key: Key) -> None:
        if len(header) != STREAM_HEADER:
            raise OpenFailed
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(self._state, header, key)
        self._is_over = False

    def pull(self, sealed: bytes, associated: bytes) -> tuple[bytes, bool]:
        """Return a chunk, and whether it is the last.

        Raises:
            OpenFailed: it was changed, is not the next, bears another tag than the two we write,
                or follows the last.
        """
        # libsodium goes on after TAG_FINAL, and takes any tag.
        if self._is_over or len(sealed) < CHUNK_OVERHEAD:
            raise OpenFailed
        try:
            chunk, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(
                self._state, sealed, associated
            )
        except _FAILURES as error:
            raise OpenFailed from error
        if tag not in (TAG_MESSAGE, TAG_FINAL):
            raise OpenFailed
        self._is_over = tag == TAG_FINAL
        return chunk, self._is_over


def argon2id(passphrase: bytes, salt: bytes, *, passes: int, memory_kib: int) -> Key:
    """Return Argon2id 1.3 of a passphrase, one lane.

    Takes a fifth of a second with 3 passes over 64 MiB, without the interpreter's lock.

    Raises:
        OpenFailed: there is not so much memory.
    """
    try:
        stretched = bindings.crypto_pwhash_alg(
            32, passphrase, salt, passes, memory_kib * 1024, bindings.crypto_pwhash_ALG_ARGON2ID13
        )
    except _FAILURES as error:
        raise OpenFailed from error
    return Key(stretched)


def are_equal(one: bytes, other: bytes) -> bool:
    """Compare secrets in a time that does not tell where they differ."""
    return len(one) == len(other) and bindings.sodium_memcmp(one, other)
