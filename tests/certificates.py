"""A certificate authority that is made in a test, and what it signs."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Authority:
    """Signs certificates of servers on this machine.

    Args:
        folder: where its certificate and those of its servers are put.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = "mlops-chain test authority"
        usage = x509.KeyUsage(
            *(False, False, False, False, False),
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            self._begin(name, self._key.public_key(), hours=1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / "authority.pem"
        """Its certificate, which who trusts it has in ``SSL_CERT_FILE``."""
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *hosts: str, hours: int = 1) -> ssl.SSLContext:
        """A server's context, with a certificate.

        Args:
            hosts: names and addresses that it is for.
            hours: how long it holds; less than zero: it is over.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._begin("mlops-chain test", key.public_key(), hours)
            .add_extension(x509.SubjectAlternativeName(list(map(_name, hosts))), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / f"server-{certificate.serial_number}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _begin(
        self, name: str, key: ec.EllipticCurvePublicKey, hours: int
    ) -> x509.CertificateBuilder:
        now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
        return (
            x509.CertificateBuilder()
            .subject_name(_common_name(name))
            .issuer_name(_common_name("mlops-chain test authority"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 24 * hour)
            .not_valid_after(now + hours * hour)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
