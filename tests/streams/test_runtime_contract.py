"""What `streams.runtime` overrides of Faust 0.15 and aiokafka 0.14 is private to them: another release must not move it unseen."""

import inspect
from importlib.metadata import version

import aiokafka.conn
import aiokafka.producer.sender
import mode
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator, JoinGroupRequest
from faust.tables.manager import TableManager
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage

from streams.runtime.engine import NoTables
from streams.runtime.keeper import keeper_engine
from streams.runtime.settings import Settings
from streams.runtime.transport import ChunkConsumer, ChunkTransport, ConsumerThread


def source_of(each: object) -> str:
    """Of a function; nothing of anything else."""
    return inspect.getsource(each) if inspect.isfunction(each) else ""


def test_releases_are_those_whose_private_names_are_known() -> None:
    assert version("faust-streaming").startswith("0.15.")
    assert version("aiokafka").startswith("0.14.")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ConsumerThread, driver.AIOKafkaConsumerThread),
        (ChunkConsumer, driver.Consumer),
    ],
)
def test_every_overridden_method_overrides_one_with_the_same_arguments(ours: type, theirs: type) -> None:
    added = {"__init__", "commit_watermarks", "_chunks", "_drop", "_go_back", "hold", "let", "forget"}
    for name, method in vars(ours).items():
        if inspect.isfunction(method) and name not in added:
            expected = list(inspect.signature(getattr(theirs, name)).parameters)

            assert expected == list(inspect.signature(method).parameters), name


def test_consumer_calls_what_is_overridden() -> None:
    source = inspect.getsource(faust_consumer)
    for call in ("self._add_gap(", "getmany", "self.perform_seek()", "self.seek_to_committed()", "self._commit("):
        assert call in source, call


def test_faust_drops_what_lies_before_what_it_has_read_where_the_consumer_says_otherwise() -> None:
    assert "if r_offset is None or offset >= r_offset:" in inspect.getsource(faust_consumer)


def test_fetcher_waits_as_long_as_the_thread_says() -> None:
    assert "_fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer)
    assert "_isolation_level" in inspect.getsource(AIOKafkaConsumer)
    assert "fetch_max_wait_ms=1500" in inspect.getsource(driver.AIOKafkaConsumerThread._create_worker_consumer)


def test_a_coordinator_that_met_an_error_waits_until_it_is_heard_and_faust_does_not_hear_it() -> None:
    assert "check_errors" not in inspect.getsource(driver)
    assert "self._error_consumed_fut.set_result(None)" in inspect.getsource(GroupCoordinator.check_errors)
    assert "await self._push_error_to_user(exc)" in inspect.getsource(GroupCoordinator)
    for name in ("self._coordination_task = create_task(", "self._closing = create_future()"):
        assert name in inspect.getsource(GroupCoordinator.__init__), name
    assert "self._sync_task = create_task(self._md_synchronizer())" in inspect.getsource(AIOKafkaClient)
    assert "self._fetch_task = create_task(self._fetch_requests_routine())" in inspect.getsource(Fetcher)


def test_who_has_not_fetched_for_long_joins_no_more() -> None:
    joining = inspect.getsource(GroupCoordinator.ensure_active_group)

    assert "idle_time >= self._max_poll_interval" in joining
    assert "max_poll_interval_ms=int(max_poll_interval * 1000.0)" in inspect.getsource(driver)


def test_a_connection_is_made_by_its_class_s_name_and_writes_to_a_transport_that_may_be_closed() -> None:
    assert "conn = AIOKafkaConnection(" in inspect.getsource(aiokafka.conn.create_conn)
    writers = [name for name, each in vars(AIOKafkaConnection).items() if "self._writer.write(" in source_of(each)]
    assert writers == ["send", "_send_sasl_token"]


def test_partitions_are_held_by_what_faust_does_on_a_full_buffer() -> None:
    full, drop = (inspect.getsource(getattr(driver.Consumer, name)) for name in ("on_buffer_full", "on_buffer_drop"))

    assert "active_partitions.discard(tp)" in full
    assert "self._buffered_partitions.add(tp)" in full
    assert "active_partitions.add(tp)" in drop
    assert "buffered_partitions.discard(tp)" in drop
    assert "await self.sleep(1)" in inspect.getsource(driver.Consumer._wait_next_records)


def test_consumer_message_takes_what_a_chunk_needs() -> None:
    expected = ["topic", "partition", "offset", "timestamp", "timestamp_type", "headers", "key", "value", "checksum"]

    assert expected == list(inspect.signature(ConsumerMessage.__init__).parameters)[1:10]


def test_wait_for_the_last_transactions_markers_is_shortened() -> None:
    assert inspect.getsource(aiokafka.producer.sender).count("BACKOFF_OVERRIDE") > 1


def test_faust_notes_that_it_has_crashed_where_the_engine_looks() -> None:
    source = inspect.getsource(mode.Service)

    assert "self._crashed = self._new_crashed_event()" in source
    assert "self._crashed.set()" in source


def test_faust_waits_a_second_for_tables_and_does_what_ours_does_at_once() -> None:
    theirs, ours = (inspect.getsource(each.on_start) for each in (TableManager, NoTables))
    both = ("if not self.should_stop:", "await self._update_channels()", "await self.recovery.start()")

    assert "await self.sleep(1.0)" in theirs
    assert all(line in source for line in both for source in (theirs, ours))
    assert isinstance(keeper_engine(Settings(bootstrap="nowhere"))._app.tables, NoTables)


def test_a_named_member_leaves_the_group_once_it_has_no_name() -> None:
    assert "if self.generation > 0 and self._group_instance_id is None:" in inspect.getsource(
        GroupCoordinator._maybe_leave_group
    )


def test_a_member_that_the_group_does_not_know_has_no_id_when_its_partitions_are_revoked() -> None:
    heartbeat, joining = (
        inspect.getsource(each) for each in (GroupCoordinator._do_heartbeat, GroupCoordinator.ensure_active_group)
    )

    assert "self.reset_generation()" in heartbeat.partition("error_type is Errors.UnknownMemberIdError")[2]
    assert "self.member_id = JoinGroupRequest.UNKNOWN_MEMBER_ID" in inspect.getsource(GroupCoordinator.reset_generation)
    assert JoinGroupRequest.UNKNOWN_MEMBER_ID == ""
    assert joining.index("self._on_join_prepare") < joining.index("self._do_rejoin_group")


def test_transport_hands_out_chunks() -> None:
    assert ChunkTransport.Consumer is ChunkConsumer
