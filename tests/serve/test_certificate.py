"""A head's own certificate: made once, kept with its key, and refused in one line when it is of no use."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mnist_tune.errors import UserError
from mnist_tune.serve import certificate
from mnist_tune.serve.certificate import Certificate, fingerprint_of, own_certificate

NAMES = ["head", "192.0.2.7", "fe80::1%eth0", "bücher.example"]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "s.db.tokens"


@pytest.fixture
def made(tokens: Path) -> Certificate:
    return own_certificate(tokens, NAMES)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.pem")}


def test_it_is_made_beside_the_tokens_for_the_names_and_the_key_is_the_owners_alone(
    made: Certificate, tmp_path: Path
) -> None:
    assert (made.path, made.key) == (tmp_path / "s.db.certificate.pem", tmp_path / "s.db.key.pem")
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert b"PRIVATE" not in made.path.read_bytes()
    parsed = x509.load_pem_x509_certificate(made.path.read_bytes())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["head", "xn--bcher-kva.example"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["192.0.2.7", "fe80::1"]
    ago = datetime.now(UTC) - parsed.not_valid_before_utc
    assert timedelta(hours=23) < ago < timedelta(hours=25)
    assert (parsed.not_valid_after_utc.year - parsed.not_valid_before_utc.year) == 10


def test_its_fingerprint_is_the_sha_256_of_its_der(made: Certificate) -> None:
    der = ssl.PEM_cert_to_DER_cert(made.path.read_text(encoding="ascii"))
    assert made.fingerprint == hashlib.sha256(der).hexdigest() == fingerprint_of(made.path)


def test_openssl_finds_nothing_to_complain_about(made: Certificate) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    line = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"]
    answer = subprocess.run([*line, made.path, made.path], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, f"{made.path}: OK\n"), answer.stderr


def test_it_is_made_once_whoever_asks_and_for_whatever_names(made: Certificate, tokens: Path) -> None:
    before = contents(tokens.parent)
    assert own_certificate(tokens, ["another"]) == made
    assert contents(tokens.parent) == before


def test_heads_that_start_at_once_have_the_same(tokens: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(own_certificate, [tokens] * 8, [NAMES] * 8))
    assert len(found) == 1


def test_a_head_that_died_before_the_certificate_was_written_makes_it(
    made: Certificate, tokens: Path
) -> None:
    made.path.unlink()
    assert own_certificate(tokens, NAMES).fingerprint != made.fingerprint


def test_without_names_it_has_none(tokens: Path) -> None:
    found = own_certificate(tokens, [])
    parsed = x509.load_pem_x509_certificate(found.path.read_bytes())
    with pytest.raises(x509.ExtensionNotFound):
        parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize("name", ["", "a..b", "a" * 64, "\ud800", "a b", "*", "http://head"])
def test_what_is_no_name_of_a_machine_is_refused_before_anything_is_made(tokens: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not the name or the address of a machine"):
        own_certificate(tokens, [name])
    assert list(tokens.parent.iterdir()) == []


ANEW = "delete both files: the head then makes new ones, and workers need the line that it prints anew"


def complaint(tokens: Path) -> str:
    with pytest.raises(UserError) as caught:
        own_certificate(tokens, NAMES)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read_as_a_pair_is_named_with_the_way_out(
    made: Certificate, tokens: Path, tmp_path: Path
) -> None:
    key, pem = made.key.read_bytes(), made.path.read_bytes()
    made.path.write_bytes(b"-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
    assert (
        complaint(tokens)
        == f"{made.path}: is not a certificate in PEM; restore it and s.db.key.pem, or {ANEW}"
    )
    made.path.write_bytes(pem)
    for broken in (b"", key[:80], pem):
        made.key.write_bytes(broken)
        says = f"{made.key}: is not a private key in PEM; restore it and s.db.certificate.pem, or {ANEW}"
        assert complaint(tokens) == says
    other = own_certificate(tmp_path / "other.tokens", NAMES)
    made.key.write_bytes(other.key.read_bytes())
    assert (
        complaint(tokens)
        == f"{made.key}: is not the key of s.db.certificate.pem; restore the pair, or {ANEW}"
    )
    made.key.unlink()
    assert complaint(tokens) == (
        f"{made.key}: the key of s.db.certificate.pem is missing; restore it, or delete s.db.certificate.pem"
    )
    assert made.path.read_bytes() == pem


def test_a_key_that_others_can_read_is_refused(made: Certificate, tokens: Path) -> None:
    made.key.chmod(0o640)
    assert complaint(tokens) == f"{made.key}: is open to other users; run: chmod 600 {made.key}"


def test_a_certificate_that_has_run_out_says_what_to_delete(
    tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "LIFE", timedelta(hours=1))
    monkeypatch.setattr(certificate, "BEFORE", timedelta(days=2))
    assert complaint(tokens).endswith(f", like its key s.db.key.pem; {ANEW}")
    assert ": ran out on " in complaint(tokens)


def test_a_certificate_of_the_future_blames_the_clock(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "BEFORE", -timedelta(days=2))
    assert complaint(tokens).endswith(" only; correct the clock of this machine")


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out() -> None:
    says = complaint(Path("/proc/s.db.tokens"))
    assert says.startswith("/proc/s.db.certificate.pem")
    assert says.endswith("name a tokens' file in another folder with --tokens")


def test_a_certificate_that_a_person_names_is_read_with_one_line_for_what_is_none(
    made: Certificate, tmp_path: Path
) -> None:
    chain = tmp_path / "chain.pem"
    other = own_certificate(tmp_path / "other.tokens", NAMES)
    chain.write_bytes(made.path.read_bytes() + other.path.read_bytes())
    assert fingerprint_of(chain) == made.fingerprint
    for path, says in (
        (tmp_path / "nothing.pem", "cannot be read: No such file or directory"),
        (made.key, "is not a certificate in PEM; name a PEM file"),
        (Path(os.devnull), "cannot be read: it is not a regular file"),
    ):
        with pytest.raises(UserError, match=f"{path}: {says}"):
            fingerprint_of(path)
