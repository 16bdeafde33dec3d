# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates by which a machine is trusted: a file's, or the system's."""

from __future__ import annotations

import os
from pathlib import Path
import ssl

# Where distributions keep all certificates of the system in one file, after OpenSSL's own place.
_SYSTEM = (
    '/etc/ssl/certs/ca-certificates.crt',  # Debian, Ubuntu
    '/etc/pki/tls/certs/ca-bundle.crt',  # Fedora, RHEL
    '/etc/ssl/ca-bundle.pem',  # openSUSE
    '/etc/ssl/cert.pem',  # Alpine
)


class CertificatesError(ValueError):
    """A file has no usable certificates; the text says why."""


def trusted(ca_file: str) -> bytes | None:
    """
    Return the certificates to trust, as PEM.

    :param ca_file: a path; empty for the system's. None then says that there are none to be
        found, and gRPC takes those that it brings along
    :raises CertificatesError: where the file cannot be read or holds no certificate
    """
    if not ca_file:
        return _of_system()
    try:
        pem = Path(ca_file).read_bytes()
    except OSError as error:
        raise CertificatesError(f'{ca_file} cannot be read: {error.strerror}') from None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem.decode('ascii'))
    except (ssl.SSLError, ValueError):
        raise CertificatesError(f'{ca_file} holds no certificate in PEM') from None
    return pem


def _of_system() -> bytes | None:
    # OpenSSL's own place, which SSL_CERT_FILE moves, comes first.
    for path in (ssl.get_default_verify_paths().cafile, *_SYSTEM):
        if path and os.access(path, os.R_OK):
            return Path(path).read_bytes()
    return None
