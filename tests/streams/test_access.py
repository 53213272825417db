"""Why Kafka does not let us in, told from what its client raises."""

import ssl

import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed, TopicAuthorizationFailedError

from streams.rights import Right
from streams.runtime.access import _reason, lacking, refused
from streams.runtime.settings import Settings

ANN = Settings(bootstrap="here:9093", security_protocol="SASL_SSL", sasl_username="ann", sasl_password="secret")


def other_host() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 62, "Hostname mismatch, certificate is not valid for 'here'"
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (other_host(), "another host's (Hostname mismatch"),
        (ssl.SSLError(1, "wrong version number"), "did not agree to TLS"),
        (SaslAuthenticationFailed("invalid credentials"), "refused user 'ann'"),
        (KafkaConnectionError("closed"), "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        (TimeoutError(), "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_reason_is_one_line_that_says_what_to_look_at(error: Exception, expected: str) -> None:
    reason = _reason(error, "here:9093", ANN)

    assert reason is not None
    assert expected in reason
    assert "\n" not in reason
    assert "secret" not in reason


def test_nobody_there_is_no_refusal() -> None:
    assert _reason(ConnectionRefusedError(111, "refused"), "here:9093", ANN) is None


def test_a_missing_right_says_who_what_and_where() -> None:
    right = Right("transactional-id", "segue-learner-", "Write", prefixed=True)

    assert lacking(right, ANN, "learner") == (
        "user 'ann' has no right Write on transactional-id whose name begins with segue-learner-: "
        "`segue topics rights learner` prints all that it needs"
    )


def test_an_error_of_a_client_is_told_as_the_right_that_is_missing() -> None:
    told = refused(TopicAuthorizationFailedError({"playlists"}), "Write", ANN)

    assert told is not None
    assert told.startswith("user 'ann' has no right Write on topic playlists")
    assert refused(ValueError("another"), "Write", ANN) is None
