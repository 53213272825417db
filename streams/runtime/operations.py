"""Kafka's Metadata request, version 8: it says what the user may do on each topic, and makes none; aiokafka stops at version 5."""

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

ALLOWED = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Describe": 8,
    "DescribeConfigs": 10,
}  # Kafka's numbers of operations: bits of the answer
UNKNOWN = -(1 << 31)  # the broker does not say

_TEXT = String("utf-8")
_BROKER = (("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))
_PARTITION = (
    *(("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32)),
    *(("replicas", Array(Int32)), ("isr", Array(Int32)), ("offline", Array(Int32))),
)
_TOPIC = (
    *(("error_code", Int16), ("topic", _TEXT), ("is_internal", Boolean), ("partitions", Array(*_PARTITION))),
    ("authorized_operations", Int32),
)


class _Answer(Response):
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(*_BROKER)),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        ("topics", Array(*_TOPIC)),
        ("authorized_operations", Int32),
    )


class _Question(RequestStruct):
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class DescribeTopics(Request[_Question]):
    """What the user may do on topics, by their names on the broker."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Question]) -> _Question:
        """The request as it goes over the wire."""
        return request_struct_class(self._topics, False, False, True)
