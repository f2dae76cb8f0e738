"""The Wi-Fi password as a Photon takes it: RSA with the device's own public key. Pure.

Rule 1: the password is revealed here and nowhere else on this path, and no exception carries it.
Rule 2: what the firmware would store wrongly is refused before it is sent (facts: photon-softap 2.1, 3).
"""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from provisioner.errors import SoftAPReplyUnreadable, WifiProfileRefused
from provisioner.model import SecurityType
from provisioner.secrets import Secret

KEY_BITS = 1024
PASSWORD_BYTES_MAX = 64  # the firmware's buffer; 64 are a raw PSK in hex
_EXPONENT = 65537
_WPA = {security for security in SecurityType if security & 0x0060_0000}
_RAW_PSK = re.compile(r"[0-9A-Fa-f]{64}")


def parse_public_key(slot: bytes) -> RSAPublicKey:
    """Return the key from the flash slot that `public-key` gives: X.509 DER, then padding up to 294 bytes.

    The DER is cut by its own length; trimming zeros could cut a key that ends in one. Raises
    SoftAPReplyUnreadable for anything but a 1024-bit RSA key with the exponent every Photon has: another exponent
    (1, say) would send the password in clear.
    """
    try:
        key = load_der_public_key(slot[: _der_size(slot)])
    except (ValueError, UnsupportedAlgorithm):
        raise _no_key("it cannot be read") from None
    if not isinstance(key, RSAPublicKey) or key.key_size != KEY_BITS:
        raise _no_key(f"it is not an RSA key of {KEY_BITS} bits")
    if key.public_numbers().e != _EXPONENT:
        raise _no_key(f"its exponent is not {_EXPONENT}")
    return key


def require_usable(password: Secret, security: SecurityType) -> None:
    """Refuse a password that cannot be this network's, before any board is touched. Raises WifiProfileRefused.

    Old firmware stores anything that decrypts and answers `r:0`, and then every board of the tray fails to join.
    """
    size = len(_plain(password))
    if security in _WPA and size < 8:
        raise _refused("a WPA password has at least 8 characters")
    if security in _WPA and size == PASSWORD_BYTES_MAX and not _RAW_PSK.fullmatch(password.reveal()):
        raise _refused("a WPA password has at most 63 bytes, or is a raw key of 64 hex digits")


def encrypt_password(password: Secret, key: RSAPublicKey) -> str:
    """Return the `pwd` of configure-ap: RSAES-PKCS1-v1_5 over the UTF-8 bytes, as 256 lower-case hex digits.

    Early firmware does not read upper-case hex. Raises WifiProfileRefused if the password is empty or has more
    than 64 bytes.
    """
    return key.encrypt(_plain(password), PKCS1v15()).hex()


def _plain(password: Secret) -> bytes:
    data = password.reveal().encode("utf-8", "replace")
    if data.decode() != password.reveal():  # compared, because a UnicodeEncodeError would carry the password
        raise _refused("it holds bytes that are no UTF-8 text")
    if not data:
        raise _refused("it is empty")
    if len(data) > PASSWORD_BYTES_MAX:
        raise _refused(f"it has more than {PASSWORD_BYTES_MAX} bytes of UTF-8")
    return data


def _der_size(slot: bytes) -> int:
    """Return how long the outer SEQUENCE is, with its own head; what is not one comes back whole."""
    if len(slot) < 4 or slot[0] != 0x30:
        return len(slot)
    if slot[1] < 0x80:
        return 2 + slot[1]
    count = slot[1] & 0x7F
    return 2 + count + int.from_bytes(slot[2 : 2 + count], "big") if count <= 2 else len(slot)


def _no_key(why: str) -> SoftAPReplyUnreadable:
    return SoftAPReplyUnreadable(f"the Photon's public key cannot be used: {why}", command="public-key")


def _refused(why: str) -> WifiProfileRefused:
    return WifiProfileRefused(f"the Wi-Fi password was not sent: {why}", command="configure-ap", result=-4)
