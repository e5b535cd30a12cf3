"""A certificate for the benchmark's shop, trusted beside the usual authorities."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import certifi

from shop_links import HOST, SLOW_DOWN_HOST


class Certificate(NamedTuple):
    """Files in PEM."""

    certificate: Path
    key: Path
    trusted: Path
    """The usual authorities and this certificate, for SSL_CERT_FILE: reading a long list is part of what TLS costs."""


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate by `openssl`, for one day and the shop's two addresses."""
    made = Certificate(folder / "shop.pem", folder / "shop.key", folder / "trusted.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "1", "-subj", "/CN=shop", "-keyout", str(made.key), "-out", str(made.certificate)]
    command += ["-addext", f"subjectAltName=IP:{HOST},IP:{SLOW_DOWN_HOST}"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(command, check=True, capture_output=True)
    made.trusted.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + made.certificate.read_bytes())
    return made
