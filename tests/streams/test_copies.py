"""Where a topic has copies enough, what is acknowledged is on two brokers; where it has not, one must do."""

import pytest

from streams.runtime.admin import _new
from streams.runtime.settings import Settings
from streams.topics import TOPICS


@pytest.mark.parametrize(("replication", "expected"), [(1, None), (2, None), (3, "2"), (5, "2")])
def test_min_insync_replicas(replication: int, expected: str | None) -> None:
    settings = Settings(bootstrap="nowhere:9", replication=replication)
    made = [_new(settings, topic, {}) for topic in TOPICS]

    assert {each.topic_configs.get("min.insync.replicas") for each in made} == {expected}
    assert {each.replication_factor for each in made} == {replication}
