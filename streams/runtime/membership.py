"""How a worker is a member of its group, where aiokafka leaves that to its user: it hears of what went wrong, and it leaves when it is stopped."""

from typing import Any

from aiokafka.errors import KafkaError

HEAR_S = 1.0  # how often who is in a group should `hear`


def hear(coordinator: Any) -> None:
    """Let a consumer's group coordinator say what it met that it cannot go on from; nothing where all is well, or it is being closed.

    Until then it waits: it joins no more and at last sends no heartbeat, while the consumer goes on with what it has, outside of its group.
    aiokafka lets it say so to who fetches. Faust's fetches go past that, and in a rebalance nobody fetches.

    Raises
    ------
    KafkaError
        what it met
    """
    if coordinator._closing.done():
        return
    if coordinator._coordination_task.cancelled():
        raise KafkaError("the task that joins the group was cancelled")
    coordinator.check_errors()
    if (
        coordinator._client._sync_task.done()
    ):  # whoever waits for metadata, as all do who lost their broker, would wait for ever
        raise KafkaError("the task that reads metadata has ended")


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
