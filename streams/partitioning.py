"""Which partition a key belongs to: murmur2, as the Kafka clients compute it."""


def murmur2(data: bytes) -> int:
    """The hash of Kafka's default partitioner, 32 bits, seed 0x9747b28c."""
    m, mask, length = 0x5BD1E995, 0xFFFFFFFF, len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for place in range(0, whole, 4):
        k = int.from_bytes(data[place : place + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that a key belongs to among `partitions`."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
