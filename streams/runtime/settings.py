"""One frozen `Settings` per process, read from the environment once."""

import os
import re
import ssl
from collections.abc import Mapping
from typing import Any

import msgspec

from streams.topics import Topic

PARTITIONS = 4
ROWS_MB = 1024
# A member who is silent for a session has left; brokers allow no shorter one than 6 s, unless told. Who has a name is given the time of
# a restart on a busy machine.
SESSION_MS, NAMED_SESSION_MS, HEARTBEAT_MS = 6000, 10_000, 1000
EMBEDDED_PARTITIONS = 2  # broker and workers share the cores there, and the cost of a transaction is a partition's
PREFIX = re.compile(r"[A-Za-z0-9._-]{0,200}")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class SettingsError(ValueError):
    """An environment variable has a value that cannot be used; the text names it."""


class NoKafkaError(SettingsError):
    """Nothing says where Kafka is."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is and how Segue's topics are cut.

    bootstrap : host:port, comma-separated; prefix : before every topic and group name
    partitions : of listener and track topics, when they are created; replication : of every topic
    listener_rows_mb : memory for listeners' rows of one worker process; the others lie in a temporary file
    member : names one worker process, and the one that is started in its place; no two at once
    """

    bootstrap: str
    prefix: str = ""
    partitions: int = PARTITIONS
    replication: int = 1
    listener_rows_mb: int = ROWS_MB
    member: str | None = None
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, embedded: str | None = None) -> "Settings":
        """Settings from environment variables; the address of an embedded broker stands in where KAFKA_BOOTSTRAP_SERVERS is not set.

        Raises
        ------
        NoKafkaError
            where nothing says where Kafka is
        SettingsError
            where a variable has a value that cannot be used
        """
        env = os.environ if environ is None else environ
        address = env.get("KAFKA_BOOTSTRAP_SERVERS") or embedded
        if not address:
            raise NoKafkaError(
                "KAFKA_BOOTSTRAP_SERVERS is not set, expected host:port of a Kafka; or start one with `segue up`"
            )
        protocol = _one_of(env, "KAFKA_SECURITY_PROTOCOL", _PROTOCOLS)
        if protocol.startswith("SASL") and not env.get("KAFKA_SASL_USERNAME"):
            raise SettingsError(f"KAFKA_SASL_USERNAME is not set, expected a user's name with {protocol}")
        if protocol.startswith("SASL") and not env.get("KAFKA_SASL_PASSWORD"):
            raise SettingsError(f"KAFKA_SASL_PASSWORD is not set, expected the user's password with {protocol}")
        return cls(
            bootstrap=_addresses(address),
            prefix=_prefix(env),
            partitions=_whole(env, "SEGUE_PARTITIONS", EMBEDDED_PARTITIONS if address == embedded else PARTITIONS),
            replication=_whole(env, "SEGUE_REPLICATION", 1),
            listener_rows_mb=listener_rows_mb(env),
            member=_member(env),
            security_protocol=protocol,
            sasl_mechanism=_one_of(env, "KAFKA_SASL_MECHANISM", _MECHANISMS),
            sasl_username=env.get("KAFKA_SASL_USERNAME"),
            sasl_password=env.get("KAFKA_SASL_PASSWORD"),
            ssl_cafile=env.get("KAFKA_SSL_CAFILE"),
            ssl_certfile=env.get("KAFKA_SSL_CERTFILE"),
            ssl_keyfile=env.get("KAFKA_SSL_KEYFILE"),
        )

    def __repr__(self) -> str:
        """All but the password: settings end up in logs."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name != "sasl_password"}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def environ(self) -> dict[str, str]:
        """The same settings as environment variables, for a child process."""
        named = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "SEGUE_TOPIC_PREFIX": self.prefix,
            "SEGUE_PARTITIONS": str(self.partitions),
            "SEGUE_REPLICATION": str(self.replication),
            "SEGUE_LISTENER_ROWS_MB": str(self.listener_rows_mb),
            "SEGUE_MEMBER": None,  # names one process, and a child is another
            "KAFKA_SECURITY_PROTOCOL": self.security_protocol,
            "KAFKA_SASL_MECHANISM": self.sasl_mechanism,
            "KAFKA_SASL_USERNAME": self.sasl_username,
            "KAFKA_SASL_PASSWORD": self.sasl_password,
            "KAFKA_SSL_CAFILE": self.ssl_cafile,
            "KAFKA_SSL_CERTFILE": self.ssl_certfile,
            "KAFKA_SSL_KEYFILE": self.ssl_keyfile,
        }
        others = {name: value for name, value in os.environ.items() if name not in named}
        return others | {name: value for name, value in named.items() if value is not None}

    def topic(self, topic: str | Topic) -> str:
        """The name of a topic on the broker."""
        return self.prefix + (topic if isinstance(topic, str) else topic.name)

    def logical(self, name: str) -> str:
        """A broker's topic name without the prefix."""
        return name[len(self.prefix) :]

    def count(self, topic: Topic) -> int:
        """How many partitions a topic gets."""
        return 1 if topic.group == "single" else self.partitions

    def membership(self, role: str) -> dict[str, Any]:
        """What a consumer is told about its group: a named member keeps its place in it for as long as a restart takes (KIP-345)."""
        named = (
            {"group_instance_id": f"{role}-{self.member}", "session_timeout_ms": NAMED_SESSION_MS}
            if self.member
            else {}
        )
        return {
            "group_id": f"{self.prefix}segue-{role}",
            "session_timeout_ms": SESSION_MS,
            "heartbeat_interval_ms": HEARTBEAT_MS,
        } | named

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context, or None where none is wanted: certificates and host names are checked, always.

        Raises
        ------
        SettingsError
            where a file cannot be read
        """
        if "SSL" not in self.security_protocol.replace("SASL", ""):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
        except OSError as error:
            raise SettingsError(
                f"KAFKA_SSL_CAFILE={self.ssl_cafile!r}: expected a file of certificates in PEM: {error}"
            ) from error
        if self.ssl_certfile:
            try:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password="")
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"KAFKA_SSL_CERTFILE={self.ssl_certfile!r}, KAFKA_SSL_KEYFILE={self.ssl_keyfile!r}: expected a certificate and its key "
                    f"in PEM, without a passphrase: {error}"
                ) from error
        return context

    def client(self) -> dict[str, Any]:
        """What every aiokafka client is given."""
        kwargs: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.security_protocol}
        if (context := self.ssl_context()) is not None:
            kwargs["ssl_context"] = context
        if self.security_protocol.startswith("SASL"):
            kwargs["sasl_mechanism"] = self.sasl_mechanism
            kwargs["sasl_plain_username"] = self.sasl_username
            kwargs["sasl_plain_password"] = self.sasl_password
        return kwargs


def listener_rows_mb(environ: Mapping[str, str] | None = None) -> int:
    """Memory for listeners' rows of one worker process, in megabytes of 2**20 bytes; SettingsError where it is no number."""
    return _whole(os.environ if environ is None else environ, "SEGUE_LISTENER_ROWS_MB", ROWS_MB, most=1_000_000)


def _addresses(text: str) -> str:
    for each in text.split(","):
        host, _, port = each.strip().rpartition(":")
        if not _HOST.fullmatch(host) or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            raise SettingsError(
                f"KAFKA_BOOTSTRAP_SERVERS={text[:300]!r}, expected host:port, or several with commas between them"
            )
    return text


def _prefix(env: Mapping[str, str]) -> str:
    prefix = env.get("SEGUE_TOPIC_PREFIX", "")
    if not PREFIX.fullmatch(prefix):
        raise SettingsError(
            f"SEGUE_TOPIC_PREFIX={prefix[:300]!r}, expected at most 200 letters, digits, dots, dashes, underscores"
        )
    return prefix


def _member(env: Mapping[str, str]) -> str | None:
    name = env.get("SEGUE_MEMBER") or None
    if name is not None and not re.fullmatch(r"[a-zA-Z0-9._-]{1,200}", name):
        raise SettingsError(f"SEGUE_MEMBER={name!r}, expected up to 200 letters, digits, dots, dashes or underscores")
    return name


def _whole(env: Mapping[str, str], name: str, default: int, *, most: int = 10_000) -> int:
    text = env.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise SettingsError(f"{name}={text!r}, expected a whole number from 1 to {most}")
    return int(text)


def _one_of(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = env.get(name, choices[0]).upper()
    if text not in choices:
        raise SettingsError(f"{name}={text!r}, expected one of {', '.join(choices)}")
    return text
