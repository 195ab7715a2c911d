"""Make a certificate that signs itself, for the names and addresses given: cert.pem, key.pem, cert.der, key.der.

    python make_certificate.py myboard.local 192.168.1.20

It runs on a computer and needs the program `openssl`. The key is elliptic: a board shakes hands in a fraction of the
time that RSA takes. Keep key.pem and key.der to yourself.
"""

import ipaddress
import os
import subprocess
import sys

DAYS = 397  # browsers believe no certificate for longer


def alternative(name: str) -> str:
    """Return a name or an address as certificates have it (RFC 5280 4.2.1.6)."""
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def make(names: list[str]) -> None:
    """Write the four files into the current folder."""
    subject = ["-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(map(alternative, names))]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(DAYS)]
    os.umask(0o077)  # the key is readable for nobody else
    for command in (
        ["req", "-x509", *curve, *subject, "-keyout", "key.pem", "-out", "cert.pem"],
        ["x509", "-in", "cert.pem", "-outform", "DER", "-out", "cert.der"],
        ["ec", "-in", "key.pem", "-outform", "DER", "-out", "key.der"],
    ):
        subprocess.run(["openssl", *command], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    make(sys.argv[1:] or ["localhost", "127.0.0.1"])
    print("cert.pem, key.pem for a computer; cert.der, key.der for a board")
