"""Models of data that passes through Temporal: requests reject unknown fields, and records ignore them.

Once a record states that byok created a resource, later observations do not change this statement.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    BucketResource,
    CheckedKey,
    ClusterResource,
    EnvironmentProgress,
    Problem,
    ProvisionRequest,
    Resources,
    WriterResource,
)
from byok.domain.phases import OnFailure, Phase
from byok.domain.remediation import Remediation

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REMEDY = Remediation(title="The S3 key is disabled")
S3 = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
RDS = "arn:aws:kms:eu-central-1:444455556666:key/0987dcba-09fe-87dc-65ba-ab0987654321"
ASKED = {"environment_id": "acme", "region": "eu-central-1", "s3_key_arn": S3, "rds_key_arn": RDS}


def test_request_needs_four_fields() -> None:
    request = ProvisionRequest.model_validate(ASKED)
    assert (request.key_grace_seconds, request.on_failure) == (30, OnFailure.KEEP)  # contract D9, D14


@pytest.mark.parametrize("field", ASKED)
def test_missing_field_is_named(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        ProvisionRequest.model_validate({name: value for name, value in ASKED.items() if name != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("s3_key", S3),  # unknown field: byok must not silently ignore a misspelt name
        ("region", "Frankfurt"),
        ("region", f"eu-{'a' * 60}-1"),
        ("region", 7),
        ("s3_key_arn", ""),
        ("s3_key_arn", None),
        ("rds_key_arn", "x" * 2049),
        ("rds_key_arn", [RDS]),
        ("key_grace_seconds", -1),
        ("key_grace_seconds", 301),
        ("key_grace_seconds", "soon"),
        ("on_failure", "panic"),
    ],
)
def test_invalid_field_is_named_without_its_value(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        ProvisionRequest.model_validate({**ASKED, field: value})
    assert [error["loc"] for error in refusal.value.errors()] == [(field,)]
    assert "input_value" not in str(refusal.value)


def test_invalid_arn_is_a_valid_request() -> None:
    """An invalid ARN is reported as a finding with a remedy, not as an invalid request (contract 82, 83)."""
    assert ProvisionRequest.model_validate({**ASKED, "s3_key_arn": "alias/payments"}).s3_key_arn == "alias/payments"


def test_no_request_but_a_key_check_can_ask_for_a_proof_of_the_aurora_key() -> None:
    with pytest.raises(ValidationError, match="prove_aurora_key"):
        ProvisionRequest.model_validate({**ASKED, "prove_aurora_key": True})


def test_record_of_a_newer_worker_can_be_read() -> None:
    proof = CheckedKey.proved(KeyPurpose.S3, S3, AT, None)
    assert CheckedKey.model_validate({**proof.model_dump(mode="json"), "of_tomorrow": 1}) == proof


def test_models_are_immutable() -> None:
    request = ProvisionRequest.model_validate(ASKED)
    with pytest.raises(ValidationError, match="frozen"):
        request.region = "eu-west-1"  # type: ignore[misc]


def cluster(status: str, *, created: bool = False) -> ClusterResource:
    return ClusterResource(identifier="c", arn="arn:c", status=status, key_arn=RDS, created=created)


def writer(status: str, *, created: bool = False) -> WriterResource:
    return WriterResource(identifier="w", arn="arn:w", status=status, created=created)


def bucket(name: str, *, created: bool = False, objects: tuple[str, ...] = ()) -> BucketResource:
    return BucketResource(purpose=name, name=name, arn=f"arn:{name}", key_arn=S3, created=created, objects=objects)


def test_created_flag_survives_a_later_observation() -> None:
    seen = (
        Resources()
        .with_cluster(cluster("creating", created=True))
        .with_cluster(cluster("available"))
        .with_writer(writer("creating", created=True))
        .with_writer(writer("available"))
        .with_bucket(bucket("a", created=True))
        .with_bucket(bucket("a", objects=("one",)))
    )
    assert seen.cluster == cluster("available", created=True)
    assert seen.writer == writer("available", created=True)
    assert seen.buckets == (bucket("a", created=True, objects=("one",)),)


def test_adopted_resource_is_never_called_created() -> None:
    adopted = Resources().with_cluster(cluster("available")).with_writer(writer("available")).with_bucket(bucket("a"))
    assert [adopted.cluster and adopted.cluster.created, adopted.writer and adopted.writer.created] == [False, False]
    assert not adopted.buckets[0].created


def test_buckets_keep_their_order_of_creation() -> None:
    seen = Resources().with_bucket(bucket("b")).with_bucket(bucket("a")).with_bucket(bucket("b", objects=("one",)))
    assert [item.name for item in seen.buckets] == ["b", "a"]


def test_resources_are_values() -> None:
    empty = Resources()
    assert empty.with_bucket(bucket("a")) != empty
    assert empty == Resources()


def test_progress_has_its_first_problem_and_survives_json() -> None:
    problems = tuple(
        Problem(code=code, message="m", phase=Phase.VALIDATING_KEYS, region="eu-central-1", at=AT, remediation=REMEDY)
        for code in ("arn.Malformed", "s3.AccessDenied")
    )
    progress = EnvironmentProgress(
        request=ProvisionRequest.model_validate(ASKED), phase=Phase.STOPPED, timeline=(), problems=problems
    )
    assert progress.first_problem == problems[0]
    assert progress.model_copy(update={"problems": ()}).first_problem is None
    assert EnvironmentProgress.model_validate_json(progress.model_dump_json()) == progress
