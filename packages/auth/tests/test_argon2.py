from __future__ import annotations

import pytest

pytest.importorskip("argon2")

from tijolo.auth import PasswordUtils
from tijolo.auth.argon2 import Argon2Scheme

PEPPER = "p" * 16 + "0123456789abcdef"
LIGHT = Argon2Scheme(memory_kib=7168, passes=5)


def test_new_hashes_are_argon2id_and_old_ones_are_renewed():
    utils = PasswordUtils(scheme=LIGHT)
    hashed = utils.hash("cavalo bateria grampo")
    assert hashed.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    assert utils.verify("cavalo bateria grampo", hashed)
    assert not utils.verify("cavalo bateria", hashed)
    assert not utils.needs_rehash(hashed)
    bcrypt_hash = PasswordUtils(rounds=10).hash("cavalo bateria grampo")
    assert utils.verify("cavalo bateria grampo", bcrypt_hash)
    assert utils.needs_rehash(bcrypt_hash)
    assert PasswordUtils(scheme=Argon2Scheme()).needs_rehash(hashed)


def test_long_passwords_need_no_tag_and_a_pepper_has_one():
    long = "palavra muito longa " * 5
    utils = PasswordUtils(scheme=LIGHT)
    assert utils.hash(long).startswith("$argon2id$")
    assert utils.verify(long, utils.hash(long))
    peppered = PasswordUtils(scheme=LIGHT, peppers={"k1": PEPPER})
    hashed = peppered.hash(long)
    assert hashed.startswith("$tj1$k1$argon2id$")
    assert peppered.verify(long, hashed)
    assert not utils.verify(long, hashed)
    assert peppered.needs_rehash(utils.hash(long))


@pytest.mark.parametrize(
    "hashed",
    [
        "$argon2id$",
        "$argon2id$v=19$m=7168,t=5,p=1$AAAA$",
        "$argon2id$v=19$m=99999999,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=7168,t=99999,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2i$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
    ],
)
def test_what_is_no_hash_or_was_planted_to_take_all_memory_verifies_nothing(hashed):
    utils = PasswordUtils(scheme=LIGHT)
    assert not utils.verify("whatever", hashed)
    assert utils.needs_rehash(hashed)


def test_the_dummy_fits_no_password():
    utils = PasswordUtils(scheme=LIGHT)
    assert not utils.verify("x", utils.dummy())


@pytest.mark.parametrize("options", [{"memory_kib": 1024}, {"passes": 0}, {"lanes": 0}])
def test_parameters_below_owasp_s_smallest_are_refused(options):
    with pytest.raises(ValueError, match="below OWASP"):
        Argon2Scheme(**options)
