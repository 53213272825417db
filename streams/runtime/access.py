"""Why Kafka does not let us in, in one line: it cannot be reached, the password is wrong, the certificate is a stranger's, a right is missing.

Kafka's client says "unable to bootstrap" to all of the first, and logs the reason; a right that is missing it meets at some later moment.
So both are asked for when a process starts: what may be done on each topic is part of the answer that describes topics.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from streams.rights import Right, rights_of
from streams.runtime.operations import ALLOWED, UNKNOWN, DescribeTopics
from streams.runtime.settings import Settings

_TIMEOUT_MS, _ADMIN_TIMEOUT_MS = 5_000, 15_000
_OTHER_HOST = (62, 64)  # OpenSSL: the certificate is for another host name, another address


class AccessError(RuntimeError):
    """Kafka does not let us in; the text says who wanted what and what to look at."""


@contextlib.asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client.

    Raises
    ------
    AccessError
        where Kafka refuses the user, or its certificate is not trusted
    KafkaConnectionError
        where nobody answers
    """
    admin = AIOKafkaAdminClient(**settings.client(), request_timeout_ms=_ADMIN_TIMEOUT_MS)
    try:
        await admin.start()
    except KafkaConnectionError as error:
        if (reason := await refusal(settings)) is not None:
            raise AccessError(reason) from error
        raise KafkaConnectionError(f"no Kafka answers at {settings.bootstrap}") from error
    try:
        yield admin
    finally:
        await admin.close()


async def refusal(settings: Settings) -> str | None:
    """Why a connection is refused, in one line; None where it is not, or where nobody answers."""
    for address in settings.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        client = {key: value for key, value in settings.client().items() if key != "bootstrap_servers"}
        try:
            (await create_conn(host, int(port), request_timeout_ms=_TIMEOUT_MS, **client)).close()
        except (OSError, ValueError, KafkaError) as error:
            if (reason := _reason(error, address, settings)) is not None:
                return reason
    return None


def _reason(error: Exception, address: str, settings: Settings) -> str | None:
    match error:
        case SaslAuthenticationFailed():
            return (
                f"Kafka at {address} refused user {settings.sasl_username!r} ({settings.sasl_mechanism}): expected a KAFKA_SASL_USERNAME, "
                "KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM that it knows"
            )
        case UnsupportedSaslMechanismError():
            return f"Kafka at {address} does not take KAFKA_SASL_MECHANISM={settings.sasl_mechanism}: expected one that its listener has"
        case ssl.SSLCertVerificationError() if error.verify_code in _OTHER_HOST:
            return (
                f"the certificate of Kafka at {address} is another host's ({error.verify_message}): KAFKA_BOOTSTRAP_SERVERS and the brokers' "
                "advertised.listeners must give the names that it was made for"
            )
        case ssl.SSLCertVerificationError():
            return (
                f"the certificate of Kafka at {address} is not trusted ({error.verify_message}): expected who signed it in KAFKA_SSL_CAFILE, "
                f"which is {settings.ssl_cafile or 'not set'}"
            )
        case ssl.SSLError():
            return (
                f"Kafka at {address} did not agree to TLS ({error}): expected a listener that speaks KAFKA_SECURITY_PROTOCOL="
                f"{settings.security_protocol}, and a KAFKA_SSL_CERTFILE where it wants one"
            )
        case KafkaConnectionError() | TimeoutError():
            return (
                f"Kafka at {address} broke off, or said nothing for {_TIMEOUT_MS // 1000} s: expected a listener that speaks "
                f"KAFKA_SECURITY_PROTOCOL={settings.security_protocol}"
            )
    return None


async def check_rights(settings: Settings, kind: str) -> None:
    """See that this process's user has the rights of its kind; raises as `require` does."""
    await require(settings, rights_of(kind, settings.prefix), kind)


async def require(settings: Settings, rights: Sequence[Right], kind: str | None = None) -> None:
    """See that our user has some rights.

    Raises
    ------
    AccessError
        names the first one that is missing, or says why we are not let in
    KafkaConnectionError
        where nobody answers
    """
    async with administering(settings) as admin:
        allowed = await allowed_on(admin, {right.name for right in rights if right.resource == "topic"})
        for right in rights:
            if right.resource == "topic":
                missing = right.name in allowed and right.operation not in allowed[right.name]
            else:
                missing = not await _may_use(admin, right)
            if missing:
                raise AccessError(lacking(right, settings, kind))


async def allowed_on(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Operations that the user may do, by topic; without topics that are not there, or whose broker does not say."""
    try:
        answer = await admin._send_request(DescribeTopics(sorted(topics)))
    except NotImplementedError:  # policy: a broker older than 2.3 does not say; what it refuses is met later
        return {}
    allowed: dict[str, frozenset[str]] = {}
    for code, name, _, _, bits in answer.topics:
        if code == TopicAuthorizationFailedError.errno:
            allowed[name] = frozenset()
        elif code == 0 and bits != UNKNOWN:
            allowed[name] = frozenset(operation for operation, bit in ALLOWED.items() if bits >> bit & 1)
    return allowed


async def _may_use(admin: AIOKafkaAdminClient, right: Right) -> bool:
    """Whether a group or a transactional id may be used: its coordinator is told to nobody who may not."""
    name = f"{right.name}0" if right.prefixed else right.name
    try:
        await admin.find_coordinator(name, int(right.resource == "transactional-id"))
    except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed):
        return False
    except KafkaError:
        pass  # policy: a broker that has just begun has no coordinator yet; who joins waits for it
    return True


def lacking(right: Right, settings: Settings, kind: str | None = None) -> str:
    """The line about a right that is missing."""
    user = f"user {settings.sasl_username!r}" if settings.sasl_username else "this user"
    beginning = "whose name begins with " if right.prefixed else ""
    told = f"`segue topics rights {kind}` prints all that it needs" if kind else "docs/security.md says who needs which"
    return f"{user} has no right {right.operation} on {right.resource} {beginning}{right.name}: {told}"


def refused(error: BaseException, operation: str, settings: Settings) -> str | None:
    """The line about an error of a client that tried an operation without the right to it; None where that is not the reason."""
    resources = {
        TopicAuthorizationFailedError: "topic",
        GroupAuthorizationFailedError: "group",
        TransactionalIdAuthorizationFailed: "transactional-id",
    }
    for kind, resource in resources.items():
        if isinstance(error, kind):
            return lacking(Right(resource, _named(error), operation), settings)  # type: ignore[arg-type]
    if isinstance(error, ClusterAuthorizationFailedError):  # what an idempotent producer is told that may write nowhere
        user = f"user {settings.sasl_username!r}" if settings.sasl_username else "this user"
        return f"{user} has no right {operation} on any topic: docs/security.md says who needs which"
    return None


def _named(error: Any) -> str:
    names = error.args[0] if error.args else "?"
    return names if isinstance(names, str) else ", ".join(sorted(map(str, names)))
