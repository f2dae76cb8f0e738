"""Whom we trust to be the cloud, and what to tell people when what answers is not: TLS, and its errors in words.

Rule 1: a certificate that is not trusted, for another name, or out of date ends the connection before any byte of a
token is on its way; there is no switch to go on all the same.
Rule 2: nothing of the environment has a say: SSLKEYLOGFILE would let whoever has that file read our tokens off the
wire, SSL_CERT_FILE and SSL_CERT_DIR would trust others. Other roots are named in the settings, where people see them.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from types import MappingProxyType
from typing import Final

import certifi
import trio

from provisioner.errors import InputRefused
from provisioner.model import printable

# Numbers of OpenSSL (X509_V_ERR_*) and Python; all other refusals of a certificate are "nobody we trust signed it".
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
_CLOCK: Final = (
    "Set this computer's clock right; if it is, something else answers in the cloud's place: see the uplink."
)
_BETWEEN: Final = (
    "A proxy, firewall or captive portal answers in the cloud's place: ask whoever runs the uplink to let this "
    "computer through to the cloud. If they must look into TLS, name their certificates in `cloud.ca_file`."
)
_OLD: Final = "The cloud speaks TLS 1.2 and newer, so an old proxy or firewall is in between: see the uplink."
_NAME: Final = (
    "its certificate is for another name, so it is not the cloud",
    "Is `cloud.base_url` right, and does the uplink lead to the internet? " + _BETWEEN,
)
_CERTIFICATE: Final = MappingProxyType(
    {
        _NOT_YET_VALID: ("its certificate is not valid yet, by this computer's clock", _CLOCK),
        _EXPIRED: ("its certificate has expired, by this computer's clock", _CLOCK),
        _OTHER_NAME: _NAME,
        _OTHER_ADDRESS: _NAME,
    }
)
_NO_WAY: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_NOWHERE: Final = "Check the uplink's cable or Wi-Fi: this computer has no way out. A running line goes on by itself."
_NAMELESS: Final = (
    "Check the uplink's cable or Wi-Fi; if the internet is there, is `cloud.base_url` right? "
    "A running line goes on by itself."
)
_HUNG_UP: Final = ("what answers there hung up in the middle of the TLS handshake", _BETWEEN)
_HANDSHAKE: Final = MappingProxyType(
    {
        "WRONG_VERSION_NUMBER": ("what answers there does not speak TLS", _BETWEEN),
        "HTTP_REQUEST": ("what answers there does not speak TLS", _BETWEEN),
        "TLSV1_ALERT_PROTOCOL_VERSION": ("what answers there speaks only old, unsafe TLS", _OLD),
        "UNSUPPORTED_PROTOCOL": ("what answers there speaks only old, unsafe TLS", _OLD),
    }
)


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """One context for all connections: making it takes longer than a request. `ca_file` replaces the usual roots.

    Made by hand, because Python's own default obeys the environment (rule 2).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the name
    try:
        context.load_verify_locations(cafile=ca_file or certifi.where())
    except (OSError, ssl.SSLError) as error:
        raise InputRefused(
            f"cloud.ca_file {printable(str(ca_file), 200)} is not a file of certificates: {printable(str(error))}",
            remedy="Correct `cloud.ca_file` in config/line.yaml, or leave it out.",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def why_not_connected(error: BaseException) -> tuple[str, str | None]:
    """What stood in the way, and what to do about it (None: the usual), from the deepest cause of an error."""
    deepest: BaseException = error
    for _ in range(8):
        if isinstance(deepest, ssl.SSLError):
            return _why_no_tls(deepest)
        if isinstance(deepest, trio.TooSlowError):
            return "nothing answered in time", None
        if isinstance(deepest, socket.gaierror):
            return f"its name was not found ({printable(deepest.strerror or str(deepest), 80)})", _NAMELESS
        if isinstance(deepest, ExceptionGroup):  # one for each address of that name
            return _why_no_address(deepest)
        deeper = deepest.__cause__ or deepest.__context__
        if deeper is None:
            break
        deepest = deeper
    return _why_no_address(deepest)


def _why_no_address(error: BaseException) -> tuple[str, str | None]:
    each = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
    words = {_in_words(one): None for one in each}
    no_way = all(isinstance(one, OSError) and one.errno in _NO_WAY for one in each)
    return "; ".join(list(words)[:3]), _NOWHERE if no_way else None


def _in_words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:  # trio's own text has the address in it, as a Python tuple
        return os.strerror(error.errno).lower()
    return printable(str(error) or type(error).__name__, 120)


def _why_no_tls(error: ssl.SSLError) -> tuple[str, str | None]:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _CERTIFICATE:
            return _CERTIFICATE[error.verify_code]
        return f"nobody whom we trust vouches for its certificate ({printable(error.verify_message, 120)})", _BETWEEN
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):  # which of the two is a matter of Python's version
        return _HUNG_UP
    known = _HANDSHAKE.get(getattr(error, "reason", ""))  # OpenSSL's own name; Python sets it, other makers need not
    return known or (printable(str(error), 120), _BETWEEN)
