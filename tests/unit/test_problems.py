"""Every problem has a remedy, and a problem that AWS reported has AWS's exact message."""

from datetime import UTC, datetime

import pytest

from byok.domain.arns import KeyArnErrorCode, KeyPair, KeyPurpose
from byok.domain.models import Problem
from byok.domain.phases import Phase
from byok.domain.problems.build import (
    build_problem,
    find_arn_problems,
    find_region_problems,
    find_tenant_request_problems,
)
from byok.domain.problems.remediation import Remedy, RemedyContext, build_remediation
from byok.domain.vendor import VendorProfile
from tests.remedy_text import text_of

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::111122223333:role/platform"
S3 = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
RDS = "arn:aws:kms:eu-central-1:444455556666:key/0987dcba-09fe-87dc-65ba-ab0987654321"


def find_problems_of_arns(s3: str, rds: str, role: str | None = ROLE) -> tuple[Problem, ...]:
    return find_arn_problems(KeyPair(s3, rds), RemedyContext("eu-central-1", role, VendorProfile()), AT)


def test_valid_keys_have_no_problems() -> None:
    assert find_problems_of_arns(S3, RDS) == ()


def test_findings_of_both_keys_become_problems() -> None:
    first, second = find_problems_of_arns(
        "alias/payments", RDS.replace("eu-central-1", "eu-west-1")
    )  # contract 7, 82, 115
    assert (first.code, first.key, first.key_arn) == ("arn.AliasNotAllowed", KeyPurpose.S3, "alias/payments")
    assert (second.code, second.key) == ("arn.OtherRegion", KeyPurpose.RDS)
    assert {item.phase for item in (first, second)} == {Phase.VALIDATING_KEYS}
    assert {item.operation for item in (first, second)} == {None}, "AWS was not called"
    assert {item.at for item in (first, second)} == {AT}


def test_unknown_platform_role_still_reports_the_other_problems() -> None:
    (only,) = find_problems_of_arns("nonsense", RDS, role=None)
    assert only.code == KeyArnErrorCode.MALFORMED
    assert "S3 key ARN" in text_of(only.remediation)


@pytest.mark.parametrize("key", [*KeyPurpose, None])
def test_problem_keeps_the_aws_message_unchanged(key: KeyPurpose | None) -> None:
    message = "arn:… is disabled. {not} a ${placeholder}"  # contract 30, 89
    subject = RemedyContext("eu-central-1", ROLE, VendorProfile(), key, S3 if key else None)
    one = build_problem(
        "s3.KMS.DisabledException",
        message,
        Remedy.ENABLE_KEY,
        subject,
        phase=Phase.CREATING_STORAGE,
        at=AT,
        operation="PutObject",
        request_id="4442587FB7D0A2F9",
    )
    assert one == Problem(
        code="s3.KMS.DisabledException",
        message=message,
        operation="PutObject",
        key=key,
        key_arn=S3 if key else None,
        phase=Phase.CREATING_STORAGE,
        request_id="4442587FB7D0A2F9",
        region="eu-central-1",
        at=AT,
        remediation=build_remediation(Remedy.ENABLE_KEY, subject),
    )


def test_problem_survives_json() -> None:
    (one, *_) = find_problems_of_arns("nonsense", RDS)
    assert Problem.model_validate_json(one.model_dump_json()) == one


def test_region_that_the_platform_does_not_use_is_a_problem() -> None:
    context = RemedyContext("eu-west-1", ROLE, VendorProfile())

    assert find_region_problems(context, ["eu-west-1"], Phase.DELETING, AT) == ()
    (one,) = find_region_problems(context, ["eu-central-1"], Phase.DELETING, AT)
    assert (one.code, one.phase, one.region, one.at) == ("byok.RegionNotInUse", Phase.DELETING, "eu-west-1", AT)
    assert "eu-west-1" in one.message
    assert one.remediation == build_remediation(Remedy.REGION_NOT_IN_USE, context)


def test_tenant_role_may_be_in_any_account_if_no_customer_owns_the_keys() -> None:
    context = RemedyContext("eu-central-1", ROLE, VendorProfile())
    role = "arn:aws:iam::999988887777:role/tenant"

    assert find_tenant_request_problems("acme", role, None, context, AT) == ()
    (one,) = find_tenant_request_problems("acme", role, KeyPair(S3, RDS), context, AT)
    assert one.code == "tenant.RoleOfAnotherAccount"
