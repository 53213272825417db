"""Gives a user the rights of a kind of process, on a Kafka with access control."""

from collections.abc import Sequence

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1
from aiokafka.protocol.api import Request

from streams.rights import Right, rights_of
from streams.runtime.access import AccessError, administering
from streams.runtime.operations import ALLOWED
from streams.runtime.settings import Settings

# Kafka's numbers
_RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
_LITERAL, _PREFIXED = 3, 4
_ALLOW = 3
_EVERY_HOST = "*"


class _CreateAcls(Request[CreateAclsRequest_v1]):
    API_KEY = 30

    def __init__(self, principal: str, rights: Sequence[Right]) -> None:
        self._principal, self._rights = principal, rights

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        rules = [
            (
                *(_RESOURCES[right.resource], right.name, _PREFIXED if right.prefixed else _LITERAL),
                *(self._principal, _EVERY_HOST, ALLOWED[right.operation], _ALLOW),
            )
            for right in self._rights
        ]
        return request_struct_class(rules)


async def grant(settings: Settings, kind: str, principal: str) -> int:
    """Give a principal ("User:name") the rights of a kind; answers how many rules that are. Again and again does no harm.

    Raises
    ------
    AccessError
        where we may not, or the broker has no access control
    """
    rights = rights_of(kind, settings.prefix)
    async with administering(settings) as admin:
        answer = await admin._send_request(_CreateAcls(principal, rights))
    for code, text in answer.creation_responses:
        if code:
            user = settings.sasl_username or "this user"
            raise AccessError(
                f"Kafka at {settings.bootstrap} did not take a rule from {user!r} ({for_code(code).__name__}: {text}): "
                "expected an administrator, with Alter on the cluster"
            )
    return len(rights)
