"""Password hashes.

Portable: CPython and MicroPython.
"""

from microdot.passwords import check_password, hash_password
from support.checks import CPYTHON, raised

# Made with OpenSSL, in the format of Werkzeug; the first one is of RFC 7914 11 (its first 32 bytes).
PBKDF2 = (
    ("passwd", "pbkdf2:sha256:1$salt$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
    ("password", "pbkdf2:sha256:2$salt$ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"),
    ("p" * 64, "pbkdf2:sha256:3$NaCl$05901132b943d3d33ae215feb25c52c69f4d25f498c8d3690cb20d317567bd23"),
    ("p" * 65, "pbkdf2:sha256:3$NaCl$2f51e21683dd16db3b15d3f314bd8695bf7ddd6224ff2cdcaa87b277437fc71e"),
    ("pässwörd", "pbkdf2:sha256:10$0123456789abcdef$f4df6521933f5216901d801a71f678b4d4bd2d561f458877c9835986986654da"),
)
SCRYPT = "scrypt:1024:8:1$salt$fa344bb561aac1b53346f30de3ed6e5cf12efb948f6e430fc80ec4e82c0e8cabbdb4d9f922912a02c075378863e4d989dba63456f4dcff1cc5ac8c76e70a62c9"


def test_pbkdf2_of_others() -> None:
    for password, hashed in PBKDF2:
        assert check_password(hashed, password), hashed
        assert not check_password(hashed, password + "x")
        assert not check_password(hashed, "")
        assert not check_password(hashed[:-1], password)
        assert not check_password(hashed.replace("$", "$x", 1), password)


def test_own_hashes() -> None:
    for rounds in (1, 30):
        hashed = hash_password("correct horse", rounds)
        assert hashed.startswith("pbkdf2:sha256:%d$" % rounds) and len(hashed.split("$")[1]) == 16
        assert check_password(hashed, "correct horse")
        assert not check_password(hashed, "wrong horse")
        assert hash_password("correct horse", rounds) != hashed  # another salt


def test_default() -> None:
    hashed = hash_password("correct horse")
    assert hashed.startswith("scrypt:32768:8:3$" if CPYTHON else "pbkdf2:sha256:2000$"), hashed
    assert check_password(hashed, "correct horse")
    assert not check_password(hashed, "Correct horse")


def test_scrypt_is_checked_where_there_is_one() -> None:
    if CPYTHON:
        assert check_password(SCRYPT, "correct horse") and not check_password(SCRYPT, "x")
    else:
        assert "scrypt" in str(raised(ValueError, check_password, SCRYPT, "correct horse"))


def test_unknown_methods_are_an_error_not_a_match() -> None:
    for hashed in ("", "plain", "md5$salt$00", "plain$$", "pbkdf2:sha256:x$s$00", "$$", "a$b$c$d", "scrypt:1:2$s$00"):
        raised(ValueError, check_password, hashed, "x")
