"""What aiokafka leaves to its user: to hear of what went wrong with a group or in a task of its own, and to leave when it is stopped."""

from typing import Any

from aiokafka.errors import KafkaError

HEAR_S = 1.0  # how often who is in a group should `hear`
# Who has fetched nothing for longer joins no more, says aiokafka, and in a rebalance nobody fetches, however long the broker is away.
IDLE_MS_MAX = 2**31 - 1


def hear(consumer: Any) -> None:
    """Let a consumer's group coordinator say what it met that it cannot go on from; nothing where all is well, or it is being closed.

    Until then it waits: it joins no more and at last sends no heartbeat, while the consumer goes on with what it has, outside of its group.
    aiokafka lets it say so to who fetches. Faust's fetches go past that, and in a rebalance nobody fetches.

    Raises
    ------
    KafkaError
        what it met, or that nothing is read any more
    """
    coordinator = consumer._coordinator
    if coordinator._closing.done():
        return
    if coordinator._coordination_task.cancelled():
        raise KafkaError("the task that joins the group was cancelled")
    coordinator.check_errors()
    check_reading(consumer)


def check_reading(consumer: Any) -> None:
    """Nothing where a consumer reads; aiokafka says to nobody that a task of its own has ended, and who waits for it would wait for ever.

    Raises
    ------
    KafkaError
        which task has ended, by what
    """
    for task, does in ((consumer._client._sync_task, "reads metadata"), (consumer._fetcher._fetch_task, "fetches")):
        if task.done():
            error = None if task.cancelled() else task.exception()
            raise KafkaError(f"the task that {does} has ended: {error!r}") from error


def leave_when_stopped(coordinator: Any | None) -> None:
    """One who is stopped in order leaves the group at once: aiokafka lets the partitions of a named member wait for its return.

    The name is put down in the moment of leaving, not before: who is in the middle of a rebalance joins it to its end, and without the
    name the broker would not know them.
    """
    if coordinator is None:  # it has not begun
        return
    leave = coordinator._maybe_leave_group

    async def leave_without_name() -> None:
        coordinator._group_instance_id = None
        await leave()

    coordinator._maybe_leave_group = leave_without_name
