"""The RSA key pair inside every simulated Photon, and how its firmware opens what was sealed with it.

Rule 1: decryption is raw RSA with a padding check of our own: the library's PKCS#1 v1.5 hides a bad padding behind
random bytes (implicit rejection), where a Photon answers a negative `r` (facts: photon-softap T15). Only a text that
is known beforehand is believed to the library, which is ten times as fast.
Rule 2: keys are drawn from a seed, so one seed gives the same bytes on the wire. They protect nothing: a simulated
Photon has only simulated secrets.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

POOL = 8  # making a pair takes some 20 ms; neighbours differ, and a world of thousands stays cheap
SLOT_BYTES = 294  # room for a 2048-bit key; the 162 bytes of a 1024-bit one are followed by zeros
_E = 65537
_BITS = 1024


class Undecipherable(Exception):
    """The ciphertext cannot be opened. `padding` tells a wrong padding from a failed private operation."""

    def __init__(self, *, padding: bool) -> None:
        super().__init__("bad padding" if padding else "private operation failed")
        self.padding = padding


@dataclass(frozen=True)
class KeyPair:
    """An RSA-1024 pair by its two primes; e is 65537. What follows from them is worked out once."""

    p: int = field(repr=False)
    q: int = field(repr=False)

    @functools.cached_property
    def modulus(self) -> int:
        """The public half."""
        return self.p * self.q

    @functools.cached_property
    def _remainders(self) -> tuple[int, int, int]:
        """The private exponent for each prime, and the inverse of q."""
        return pow(_E, -1, self.p - 1), pow(_E, -1, self.q - 1), pow(self.q, -1, self.p)

    @functools.cached_property
    def public_slot(self) -> bytes:
        """The 294 bytes that `public-key` answers: X.509 SubjectPublicKeyInfo in DER, padded with zeros."""
        key = RSAPublicNumbers(_E, self.modulus).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).ljust(SLOT_BYTES, b"\0")

    @functools.cached_property
    def _library_key(self) -> RSAPrivateKey:
        exponent_p, exponent_q, inverse = self._remainders
        public = RSAPublicNumbers(_E, self.modulus)
        d = pow(_E, -1, math.lcm(self.p - 1, self.q - 1))
        return RSAPrivateNumbers(self.p, self.q, d, exponent_p, exponent_q, inverse, public).private_key()

    def decrypt(self, sealed: bytes, likely: Collection[bytes] = ()) -> bytes:
        """Open RSAES-PKCS1-v1_5, big-endian. Raises Undecipherable. `likely`: texts that are probably inside."""
        number = int.from_bytes(sealed)
        if len(sealed) != _BITS // 8 or number >= self.modulus:
            raise Undecipherable(padding=False)
        if likely and (text := self._library_key.decrypt(sealed, PKCS1v15())) in likely:
            return text
        padded = self._private_operation(number).to_bytes(_BITS // 8)
        filler, zero, opened = padded[2:].partition(b"\0")
        if padded[:2] != b"\0\2" or not zero or len(filler) < 8:
            raise Undecipherable(padding=True)
        return opened

    def _private_operation(self, number: int) -> int:
        """By Chinese remainders: four times as fast, and a shift of thousands does it thousands of times."""
        exponent_p, exponent_q, inverse = self._remainders
        of_p, of_q = pow(number, exponent_p, self.p), pow(number, exponent_q, self.q)
        return of_q + (of_p - of_q) * inverse % self.p * self.q


def key_pair(number: int) -> KeyPair:
    """The pair of the `number`th Photon of a world."""
    return _made(number % POOL)


def pairs_that_do_not_fit(number: int) -> tuple[KeyPair, KeyPair]:
    """A private pair, and the pair whose public half such a damaged unit shows.

    The shown modulus is the smaller: what is sealed with it is always bad padding, never sometimes a number too large,
    and so one seed gives one journal although clients pad with real randomness.
    """
    shown = min((_made(n) for n in range(POOL)), key=lambda pair: pair.modulus)
    private = key_pair(number)
    return (key_pair(number + 1) if private == shown else private), shown


@functools.cache
def _made(number: int) -> KeyPair:
    dice = random.Random(f"photon key pair {number}")
    while True:
        p, q = _prime(dice), _prime(dice)
        phi = (p - 1) * (q - 1)
        if p != q and (p * q).bit_length() == _BITS and math.gcd(_E, phi) == 1:
            return KeyPair(p, q)


def _prime(dice: random.Random) -> int:
    small = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2))]
    while True:
        candidate = dice.getrandbits(_BITS // 2) | 3 << (_BITS // 2 - 2) | 1
        if all(candidate % n for n in small) and _probably_prime(candidate, dice):
            return candidate


def _probably_prime(number: int, dice: random.Random) -> bool:
    """Miller and Rabin's test, eight rounds."""
    twos = ((number - 1) & (1 - number)).bit_length() - 1
    odd = (number - 1) >> twos
    for _ in range(8):
        power = pow(dice.randrange(2, number - 1), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
