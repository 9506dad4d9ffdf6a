"""The control endpoint of the local AWS emulator: faults, delays, recorded calls, and clear error messages."""

import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from localaws.state import STATE
from tests.localaws.server import AwsHarness


def error_code(error: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = error.value.response["Error"]["Code"]
    return code


def test_fault_affects_only_its_session_and_call(aws: AwsHarness) -> None:
    role = aws.create_customer_role({"Effect": "Allow", "Action": "kms:ListAliases", "Resource": "*"})
    aws.call_control("POST", "faults", service="sts", operation="*", kind="error500", session="struck")
    aws.call_control("POST", "faults", service="kms", operation="*", kind="error500", session="struck", after_calls=1)

    aws.customer_client("kms").list_aliases()
    aws.assumed_role_client("kms", role, session="another").list_aliases()
    with pytest.raises(ClientError, match="InternalFailure"):
        aws.assumed_role_client("kms", role, session="struck")
    kms = aws.assumed_role_client("kms", role, session="struck")
    kms.list_aliases()
    aws.customer_client("kms").list_aliases()
    with pytest.raises(ClientError, match="KMSInternalException"):
        kms.list_aliases()


def test_delayed_call_continues_when_faults_are_deleted(aws: AwsHarness) -> None:
    aws.call_control("POST", "faults", service="kms", operation="ListAliases", kind="delay", seconds=300)
    with ThreadPoolExecutor(1) as executor:
        held = executor.submit(aws.customer_client("kms").list_aliases)
        while aws.call_control("GET", "faults")["faults"]:
            assert not held.done()
        assert not held.done()
        aws.call_control("DELETE", "faults")
        assert held.result(30)["Aliases"] == []


@pytest.mark.parametrize(
    ("service", "operation", "kind", "code", "status"),
    [
        ("s3", "ListBuckets", "throttle", "SlowDown", 503),
        ("s3", "ListBuckets", "error500", "InternalError", 500),
        ("rds", "DescribeDBClusters", "throttle", "Throttling", 400),
        ("rds", "DescribeDBClusters", "error500", "InternalFailure", 500),
        ("kms", "ListKeys", "throttle", "ThrottlingException", 400),
        ("kms", "ListKeys", "error500", "KMSInternalException", 500),
    ],
)
def test_services_throttle_and_fail_with_their_own_errors(
    aws: AwsHarness, service: str, operation: str, kind: str, code: str, status: int
) -> None:
    aws.call_control("POST", "faults", service=service, operation=operation, kind=kind, times=2)
    client = aws.operator_client(service)
    call = getattr(
        client, {"ListBuckets": "list_buckets", "ListKeys": "list_keys"}.get(operation, "describe_db_clusters")
    )

    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            call()
        assert error_code(caught) == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    call()  # succeeds, because the fault was requested for only two calls


def test_lost_answer_means_the_call_was_carried_out(aws: AwsHarness) -> None:
    s3 = aws.operator_client("s3")
    aws.call_control("POST", "faults", service="s3", operation="CreateBucket", kind="lose_answer")
    place = {"LocationConstraint": "eu-central-1"}

    with pytest.raises(ConnectionClosedError):
        s3.create_bucket(Bucket="made", CreateBucketConfiguration=place)

    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["made"]


def test_only_the_answer_of_a_successful_call_is_lost(aws: AwsHarness) -> None:
    rds = aws.operator_client("rds")
    aws.call_control("POST", "faults", service="rds", operation="DeleteDBCluster", kind="lose_answer")

    with pytest.raises(ClientError) as caught:
        rds.delete_db_cluster(DBClusterIdentifier="none", SkipFinalSnapshot=True)

    assert error_code(caught) == "DBClusterNotFoundFault"
    assert len(aws.call_control("GET", "faults")["faults"]) == 1


def test_timeout_means_the_call_was_not_carried_out(aws: AwsHarness) -> None:
    s3 = aws.operator_client("s3", read_timeout=0.2)
    aws.call_control("POST", "faults", service="s3", operation="CreateBucket", kind="timeout", seconds=1)

    with pytest.raises(ReadTimeoutError):
        s3.create_bucket(Bucket="made", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    assert aws.operator_client("s3").list_buckets()["Buckets"] == []


def test_fault_waits_for_the_given_number_of_calls(aws: AwsHarness) -> None:
    aws.call_control("POST", "faults", service="s3", operation="*", kind="error500", after_calls=2)
    s3 = aws.operator_client("s3")

    outcomes = []
    for _ in range(4):
        try:
            s3.list_buckets()
            outcomes.append("ok")
        except ClientError:
            outcomes.append("failed")

    assert outcomes == ["ok", "ok", "failed", "ok"]


def test_fault_applies_only_to_matching_resources(aws: AwsHarness) -> None:
    aws.call_control("POST", "faults", service="s3", operation="CreateBucket", kind="error500", about="-acme-")
    s3, place = aws.operator_client("s3"), {"LocationConstraint": "eu-central-1"}

    s3.create_bucket(Bucket="byok-globex-files", CreateBucketConfiguration=place)
    with pytest.raises(ClientError):
        s3.create_bucket(Bucket="byok-acme-files", CreateBucketConfiguration=place)


def test_call_is_refused_with_the_given_error(aws: AwsHarness) -> None:
    words = {"code": "KMS.DisabledException", "message": "… is disabled."}
    aws.call_control("POST", "faults", service="s3", operation="ListBuckets", kind="refuse", **words)

    with pytest.raises(ClientError) as caught:
        aws.operator_client("s3").list_buckets()

    assert (error_code(caught), caught.value.response["Error"]["Message"]) == tuple(words.values())


@pytest.mark.parametrize(("kind", "carried_out"), [("hold_call", False), ("hold_answer", True)])
def test_held_call_waits_until_it_is_released(aws: AwsHarness, kind: str, carried_out: bool) -> None:
    aws.call_control("POST", "faults", service="s3", operation="CreateBucket", kind=kind)
    place = {"LocationConstraint": "eu-central-1"}
    with ThreadPoolExecutor(1) as executor:
        call = executor.submit(
            lambda: aws.operator_client("s3").create_bucket(Bucket="made", CreateBucketConfiguration=place)
        )
        while not (held := aws.call_control("GET", "held")["held"]):
            assert not call.done()
        assert [(one["operation"], one["carried_out"]) for one in held] == [("CreateBucket", carried_out)]
        assert [one["Name"] for one in aws.operator_client("s3").list_buckets()["Buckets"]] == ["made"][
            : int(carried_out)
        ]

        aws.call_control("DELETE", "held")

        if carried_out:
            assert call.result()["ResponseMetadata"]["HTTPStatusCode"] == 200
        else:
            assert isinstance(call.exception(), ConnectionClosedError)
    assert len(aws.operator_client("s3").list_buckets()["Buckets"]) == int(carried_out)


def test_key_change_takes_time_to_reach_the_services(aws: AwsHarness) -> None:
    key, s3 = aws.create_s3_key(), aws.platform_client("s3")
    STATE.keys[key].revisions[0].at -= 3600  # as if the key had been created an hour ago
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    write = {"Bucket": "bucket", "Key": "x", "Body": b"x", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(**write)
    aws.call_control("POST", "settings", propagation_seconds=60)
    aws.customer_client("kms").disable_key(KeyId=key)

    s3.put_object(**write)  # still succeeds, because the change has not propagated to S3 yet
    aws.call_control("POST", "settings", propagation_seconds=0)

    with pytest.raises(ClientError) as caught:
        s3.put_object(**write)
    assert error_code(caught) == "KMS.DisabledException"


def test_calls_are_recorded_with_their_outcome(aws: AwsHarness) -> None:
    aws.call_control("DELETE", "calls")
    with pytest.raises(ClientError):
        aws.platform_client("kms").describe_key(KeyId=aws.create_s3_key())

    calls = aws.call_control("GET", "calls")["calls"]

    assert [(call["operation"], call["outcome"]) for call in calls] == [
        ("CreateKey", "ok"),
        ("DescribeKey", "AccessDeniedException"),
    ]
    assert calls[1]["caller"].endswith("assumed-role/AtaccamaPlatform/worker")
    assert [call["account"] for call in calls] == ["444455556666", "111122223333"]


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("faults", {"service": "sqs", "operation": "x", "kind": "throttle"}, "service"),
        ("faults", {"service": "s3", "operation": "x", "kind": "explode"}, "kind"),
        ("faults", {"service": "s3", "operation": "x", "kind": "delay", "times": 0}, "times"),
        ("faults", {"service": "s3", "operation": "x", "kind": "delay", "colour": 1}, "colour"),
        ("settings", {"database_seconds": -1}, "database_seconds"),
    ],
)
def test_malformed_request_is_refused_with_the_field(
    aws: AwsHarness, name: str, body: dict[str, object], field: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        aws.call_control("POST", name, **body)

    assert caught.value.code == 400
    assert f'"{field}"' in caught.value.read().decode()
    caught.value.close()


def test_reset_removes_everything(aws: AwsHarness) -> None:
    key = aws.create_s3_key()
    aws.operator_client("s3").create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )

    aws.call_control("POST", "reset")

    assert aws.operator_client("s3").list_buckets()["Buckets"] == []
    with pytest.raises(ClientError) as caught:
        aws.customer_client("kms").describe_key(KeyId=key)
    assert error_code(caught) == "NotFoundException"


def test_unmodelled_operation_is_refused_by_name(aws: AwsHarness) -> None:
    with pytest.raises(ClientError) as kms:
        aws.customer_client("kms").create_custom_key_store(CustomKeyStoreName="x")
    with pytest.raises(ClientError) as s3:
        aws.operator_client("s3").get_bucket_website(Bucket="bucket")

    assert error_code(kms) == error_code(s3) == "NotImplemented"
    assert "kms:CreateCustomKeyStore" in str(kms.value)
    assert "website" in str(s3.value)


def test_elapsed_waiting_period_deletes_a_key_and_its_aliases(aws: AwsHarness) -> None:
    kms, due, later, kept = aws.customer_client("kms"), aws.create_key(), aws.create_key(), aws.create_key()
    for key, name in ((due, "alias/due"), (later, "alias/later")):
        kms.create_alias(AliasName=name, TargetKeyId=key)
    kms.schedule_key_deletion(KeyId=due, PendingWindowInDays=7)
    kms.schedule_key_deletion(KeyId=later, PendingWindowInDays=8)

    assert aws.call_control("POST", "elapse", days=7) == {"deleted_keys": [due]}

    with pytest.raises(ClientError, match="does not exist"):
        kms.describe_key(KeyId=due)
    assert [alias["AliasName"] for alias in kms.list_aliases()["Aliases"]] == ["alias/later"]
    assert {key["KeyArn"] for key in kms.list_keys()["Keys"]} == {later, kept}
    kms.cancel_key_deletion(KeyId=later)
