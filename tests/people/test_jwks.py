from __future__ import annotations

import base64
import json

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from carnet.people import jwks

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})


def modulus(size_bytes: int) -> str:
    return base64.urlsafe_b64encode(b"\xff" * size_bytes).rstrip(b"=").decode()


def test_unfit_keys_are_passed_over() -> None:
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": modulus(128)}
    huge = {"kty": "RSA", "kid": "huge", "e": "AQAB", "n": modulus(4096)}
    unreadable = {"kty": "RSA", "kid": "unreadable", "e": "AQAB", "n": "***"}
    secret = OctKey.generate_key(256, {"kid": "secret"}).as_dict()
    for_encryption = RSA.as_dict(private=False) | {"kid": "enc", "use": "enc"}
    exotic = {"kty": "AKP", "kid": "new", "alg": "ML-DSA-44", "pub": "AA"}
    nameless = {name: value for name, value in RSA.as_dict(private=False).items() if name != "kid"}
    good = EC.as_dict(private=False)
    listed = [weak, huge, unreadable, secret, for_encryption, exotic, nameless, 7, None, good]
    assert list(jwks.read_keys(json.dumps({"keys": listed}).encode())) == ["ec-1"]


def test_the_first_key_of_a_name_counts() -> None:
    other = ECKey.generate_key("P-256", {"kid": "ec-1"})
    listed = [EC.as_dict(private=False), other.as_dict(private=False)]
    (key,) = jwks.read_keys(json.dumps({"keys": listed}).encode()).values()
    assert key.thumbprint() == EC.thumbprint() != other.thumbprint()


def test_a_long_set_is_read_to_its_bound() -> None:
    listed = [EC.as_dict(private=False) | {"kid": str(n)} for n in range(jwks.KEYS_LIMIT + 5)]
    assert len(jwks.read_keys(json.dumps({"keys": listed}).encode())) == jwks.KEYS_LIMIT


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"keys": {}}', b"\xff"])
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        jwks.read_keys(body)
