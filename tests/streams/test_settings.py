"""Settings come from the environment once, and an error names the variable."""

import re
import ssl
from pathlib import Path

import pytest

from streams.runtime.settings import NoKafkaError, Settings, SettingsError
from streams.topics import EXPERIMENTS, LISTENING_EVENTS

HERE = {"KAFKA_BOOTSTRAP_SERVERS": "here:9092"}


def test_defaults_are_one_broker_and_four_partitions() -> None:
    settings = Settings.from_env(HERE)

    assert (settings.bootstrap, settings.prefix, settings.partitions, settings.replication) == ("here:9092", "", 4, 1)
    assert settings.ssl_context() is None


def test_environment_goes_before_what_was_found() -> None:
    assert Settings.from_env(HERE, embedded="found:1").bootstrap == "here:9092"
    assert Settings.from_env({}, embedded="found:1").bootstrap == "found:1"


@pytest.mark.parametrize("address", ["a-1.b_2:1", "10.0.0.1:65535", "[::1]:9092", "here:9092, there:9093"])
def test_addresses_are_hosts_with_ports(address: str) -> None:
    assert Settings.from_env({"KAFKA_BOOTSTRAP_SERVERS": address}).bootstrap == address


def test_an_embedded_broker_has_two_partitions_unless_told() -> None:
    assert Settings.from_env({}, embedded="found:1").partitions == 2
    assert Settings.from_env({"SEGUE_PARTITIONS": "8"}, embedded="found:1").partitions == 8
    assert Settings.from_env(HERE, embedded="found:1").partitions == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("KAFKA_BOOTSTRAP_SERVERS", value)
            for value in ("here", "here:", "here:0", "here:65536", "here:9092,", "[::1]:x")
        ),
        *(
            ("KAFKA_BOOTSTRAP_SERVERS", value)
            for value in ("http://here:9092", f"{'h' * 64}:9092", f"{'h.' * 130}h:9092")
        ),
        ("SEGUE_TOPIC_PREFIX", "a b"),
        ("SEGUE_PARTITIONS", "many"),
        ("SEGUE_PARTITIONS", "0"),
        ("SEGUE_REPLICATION", "-1"),
        ("SEGUE_LISTENER_ROWS_MB", "0"),
        ("SEGUE_MEMBER", "my learner"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
    ],
)
def test_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{name}='{value}', expected")):
        Settings.from_env({**HERE, name: value})


def test_a_named_member_is_one_of_its_role_and_a_child_has_no_name_of_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEGUE_MEMBER", "pod-0")

    assert (
        Settings.from_env({**HERE, "SEGUE_MEMBER": "pod-0"}).membership("keeper")["group_instance_id"] == "keeper-pod-0"
    )
    assert "group_instance_id" not in Settings.from_env(HERE).membership("keeper")
    assert "SEGUE_MEMBER" not in Settings.from_env({**HERE, "SEGUE_MEMBER": "pod-0"}).environ()


@pytest.mark.parametrize("missing", ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
def test_logging_in_without_a_name_or_a_password_is_refused(missing: str) -> None:
    given = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "ann", "KAFKA_SASL_PASSWORD": "secret"}
    with pytest.raises(SettingsError, match=f"{missing} is not set"):
        Settings.from_env({**HERE, **given, missing: ""})


def test_a_password_is_not_shown() -> None:
    shown = repr(Settings(bootstrap="here:9092", sasl_username="ann", sasl_password="secret"))

    assert ("ann" in shown, "secret" in shown) == (True, False)


@pytest.mark.parametrize("name", ["ssl_cafile", "ssl_certfile"])
def test_certificates_that_are_not_there_are_named(name: str, tmp_path: Path) -> None:
    settings = Settings(bootstrap="here:9092", security_protocol="SSL", **{name: str(tmp_path / "none.pem")})
    with pytest.raises(SettingsError, match=f"KAFKA_{name.upper()}='.*none.pem'"):
        settings.client()


def test_certificates_and_host_names_are_checked() -> None:
    context = Settings(bootstrap="here:9092", security_protocol="SASL_SSL").ssl_context()

    assert context is not None
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_missing_address_is_said_with_what_to_do() -> None:
    with pytest.raises(NoKafkaError, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        Settings.from_env({})


def test_child_gets_the_same_settings() -> None:
    settings = Settings(bootstrap="here:9092", prefix="p-", partitions=7, replication=3, listener_rows_mb=77)

    assert settings == Settings.from_env(settings.environ())


def test_child_gets_the_security_too_and_nothing_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        bootstrap="here:9092",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="ann",
        sasl_password="secret",
        ssl_cafile="ca.pem",
        ssl_certfile="ann.pem",
        ssl_keyfile="ann.key",
    )

    assert settings == Settings.from_env(settings.environ())
    monkeypatch.setenv("KAFKA_SSL_CAFILE", "another.pem")

    assert Settings.from_env(Settings(bootstrap="here:9092").environ()).ssl_cafile is None


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_without_a_user_is_refused(protocol: str) -> None:
    with pytest.raises(SettingsError, match="KAFKA_SASL_USERNAME is not set, expected"):
        Settings.from_env({**HERE, "KAFKA_SECURITY_PROTOCOL": protocol})


def test_prefix_goes_before_every_topic_and_comes_off_again() -> None:
    settings = Settings(bootstrap="x", prefix="p-")

    assert settings.topic(LISTENING_EVENTS) == "p-listening-events"
    assert settings.logical("p-listening-events") == "listening-events"
    assert (settings.count(LISTENING_EVENTS), settings.count(EXPERIMENTS)) == (4, 1)


def test_sasl_over_tls_gives_the_client_all_it_needs() -> None:
    env = {
        **HERE,
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "ann",
        "KAFKA_SASL_PASSWORD": "secret",
    }
    client = Settings.from_env(env).client()

    assert client["ssl_context"] is not None
    assert (client["sasl_mechanism"], client["sasl_plain_username"]) == ("SCRAM-SHA-512", "ann")
