"""Keys go to the partition that every Kafka client would send them to."""

import random

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2

from streams.deltas import keeper_of
from streams.partitioning import murmur2 as our_murmur2
from streams.partitioning import partition_of


@pytest.mark.parametrize("length", range(33))
def test_the_hash_is_that_of_the_kafka_clients_for_keys_of_every_length(length: int) -> None:
    key = random.Random(length).randbytes(length)

    assert murmur2(key) == our_murmur2(key)


@pytest.mark.parametrize("partitions", [1, 2, 3, 4, 7, 16, 100, 1024])
def test_a_key_goes_where_the_default_partitioner_sends_it(partitions: int) -> None:
    rng, everywhere = random.Random(partitions), list(range(partitions))
    keys = [f"user-{rng.getrandbits(40)}".encode() for _ in range(200)] + [
        b"",
        b"\x00",
        b"\xff" * 127,
        "Björk".encode(),
    ]
    expected = [DefaultPartitioner()(key, everywhere, everywhere) for key in keys]

    actual = [partition_of(key, partitions) for key in keys]

    assert expected == actual


def test_a_track_is_kept_where_its_catalogue_row_arrives() -> None:
    ids = [f"t{number}" for number in range(100)]

    expected = [partition_of(each.encode(), 5) for each in ids]

    assert expected == [keeper_of("t:" + each, 5) for each in ids]


def test_every_partition_gets_its_share_of_the_keys() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[partition_of(f"user-{number}".encode(), 8)] += 1

    assert all(800 < count < 1200 for count in counts), counts
