from __future__ import annotations

from pathlib import Path

import pytest

from carnet.errors import UserMistake
from carnet.people.oidc import load_providers

FILE = """
[[provider]]
name = "Pro Santé Connect"
issuer = "https://auth.example.org/realms/x"
jwks_uri = "https://auth.example.org/realms/x/certs"
audience = "carnet"
algorithms = ["RS256"]
kind = "professional"
token_type = "keycloak"
subject_claim = "SubjectNameID"
"""


def test_a_file_of_providers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "oidc.toml"
    second = FILE.replace("auth.example", "franceconnect.example").replace(
        "professional", "patient"
    )
    path.write_text(FILE + second, encoding="utf-8")
    providers = load_providers(path)
    assert providers.keys_of("https://auth.example.org/realms/x").fetches == 0
    assert providers.keys_of("https://franceconnect.example.org/realms/x").fetches == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[[provider]]", "[provider]", "[[provider]]"),
        ("[[provider]]", "[[provider", "not TOML"),
        ("[[provider]]", "x = 1\n[[provider]]", "nothing else"),
        ('["RS256"]', '["RS256", "HS256"]', "HS256"),
        ('["RS256"]', '["none"]', "none"),
        ('["RS256"]', "[]", "algorithms"),
        ('["RS256"]', '"RS256"', "algorithms"),
        ('["RS256"]', "[[]]", "algorithm"),
        ('"https://auth.example.org/realms/x/certs"', '"http://auth.example.org/c"', "jwks_uri"),
        ('"https://auth.example.org/realms/x/certs"', '"file:///etc/passwd"', "jwks_uri"),
        ('"https://auth.example.org/realms/x/certs"', '"https://[bad"', "jwks_uri"),
        ('issuer = "https:', 'issuer = "http:', "issuer"),
        ('"professional"', '"operator"', "kind"),
        ('"keycloak"', '"id_token"', "token_type"),
        ('"SubjectNameID"', '"a b"', "subject_claim"),
        ('audience = "carnet"', 'audience = "carnet"\naudience_claim = "sub"', "audience_claim"),
        ('audience = "carnet"', "", "audience"),
        ('audience = "carnet"', 'audience = ""', "audience"),
        ('audience = "carnet"', 'audience = "carnet"\naudiance = "x"', "audiance"),
        ('audience = "carnet"', 'audience = "carnet"\nleeway_seconds = 3600', "leeway_seconds"),
        ('audience = "carnet"', 'audience = "carnet"\nleeway_seconds = true', "leeway_seconds"),
        (FILE, "", "[[provider]]"),
        (FILE, FILE + FILE, "twice"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "oidc.toml"
    assert old in FILE
    path.write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(UserMistake) as mistake:
        load_providers(path)
    assert "\n" not in str(mistake.value) and says in str(mistake.value)
    assert "oidc.toml" in str(mistake.value)


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="cannot be read"):
        load_providers(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\xff")
    with pytest.raises(UserMistake, match="not TOML"):
        load_providers(tmp_path / "latin.toml")
