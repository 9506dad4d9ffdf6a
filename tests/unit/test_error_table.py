"""The error table covers every call that byok makes, and classifies AWS's recorded errors correctly."""

import ast
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import Shape

from byok.domain.arns import KeyPurpose
from byok.domain.problems.aws_errors import ERROR_RULES, OPERATIONS_BY_SERVICE, ErrorOutcome, classify_error
from byok.domain.problems.remediation import Remedy, RemedyContext, build_remediation
from byok.domain.vendor import VendorProfile

ROOT = Path(__file__).parents[2]
KEY = "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111"
OTHER = "arn:aws:kms:eu-central-1:111122223333:key/33333333-3333-4333-8333-333333333333"
CLASSIC = "The specified KMS key [{}] does not exist, is not enabled or you do not have permissions to access it."
OF_2026 = "The specified KMS key [{}] either doesn't exist, isn't enabled, or isn't accessible by the current user."
DENIED = "User: arn:aws:sts::111122223333:assumed-role/P/w is not authorized to perform: {} because no …"


def wire_code(shape: Shape) -> str:
    code: str = shape.metadata.get("error", {}).get("code", shape.name)
    return code


def modelled_errors() -> list[tuple[str, str]]:
    """List the service and the wire code of every error that botocore's models define for byok's calls."""
    session = botocore.session.get_session()
    return sorted(
        {
            (service, wire_code(shape))
            for service, operations in OPERATIONS_BY_SERVICE.items()
            for operation in operations
            for shape in session.get_service_model(service).operation_model(operation).error_shapes
        }
    )


def boto3_calls() -> set[tuple[str, str]]:
    """List the service and the method of every boto3 call in the source of the activities."""
    clients = {"kms": "kms", "s3": "s3", "rds": "rds", "sts": "sts"}
    found = set()
    for path in (ROOT / "activities").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Attribute):
                name = owner.func.attr.removeprefix("_")
            method = node.func.attr
            if name in clients and method == "get_paginator":
                method = ast.literal_eval(node.args[0])
            if name in clients:
                found.add((clients[name], method))
    return found


@pytest.mark.parametrize(("service", "code"), modelled_errors())
def test_every_modelled_error_has_a_rule(service: str, code: str) -> None:
    assert any((row.service, row.code) == (service, code) for row in ERROR_RULES)


def test_operations_match_the_calls_of_the_activities() -> None:
    assert boto3_calls() == {
        (service, xform_name(name)) for service, names in OPERATIONS_BY_SERVICE.items() for name in names
    }


@pytest.mark.parametrize("row", ERROR_RULES, ids=lambda row: f"{row.service}.{row.code}")
def test_every_rule_has_a_remedy(row: object) -> None:
    remedy = row.remedy  # type: ignore[attr-defined]
    subject = RemedyContext("eu-central-1", "arn:aws:iam::111122223333:role/P", VendorProfile(), KeyPurpose.S3, KEY)
    assert build_remediation(remedy, subject).strip()


def test_general_rules_follow_specific_ones() -> None:
    seen: set[tuple[str, str]] = set()
    for row in ERROR_RULES:
        assert (row.service, row.code) not in seen, f"{row.service}.{row.code} is unreachable"
        if row.message is None:
            seen.add((row.service, row.code))


RECORDED = [
    ("s3", "KMS.NotFoundException", f"Key '{KEY}' does not exist", ErrorOutcome.STOP_AFTER_GRACE, True),
    ("s3", "KMS.NotFoundException", "Invalid keyId 'fake-key-id'", ErrorOutcome.STOP, True),
    ("s3", "KMS.NotFoundException", "Invalid arn us-west-2", ErrorOutcome.STOP, True),
    ("s3", "KMS.DisabledException", f"{KEY} is disabled.", ErrorOutcome.STOP, True),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is pending deletion.", ErrorOutcome.STOP, True),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is pending import.", ErrorOutcome.STOP, True),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is unavailable.", ErrorOutcome.STOP_AFTER_GRACE, True),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is creating.", ErrorOutcome.STOP_AFTER_GRACE, True),
    ("s3", "KMS.InvalidKeyUsageException", f"{KEY} key usage is SIGN_VERIFY …", ErrorOutcome.STOP, True),
    ("s3", "AccessDenied", DENIED.format("kms:GenerateDataKey"), ErrorOutcome.STOP_AFTER_GRACE, True),
    ("s3", "AccessDenied", DENIED.format("s3:PutObject"), ErrorOutcome.STOP, False),
    ("s3", "AccessDenied", "Access Denied", ErrorOutcome.STOP, False),
    ("s3", "SlowDown", "Please reduce your request rate.", ErrorOutcome.RETRY, False),
    ("s3", "OperationAborted", "A conflicting conditional operation …", ErrorOutcome.RETRY, False),
    ("s3", "KMS.ThrottlingException", "Rate exceeded", ErrorOutcome.RETRY, False),
    ("s3", "BucketAlreadyOwnedByYou", "…", ErrorOutcome.EXISTS, False),
    ("s3", "BucketAlreadyExists", "…", ErrorOutcome.STOP, False),
    ("rds", "KMSKeyNotAccessibleFault", CLASSIC.format(KEY), ErrorOutcome.STOP_AFTER_GRACE, True),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format(KEY), ErrorOutcome.STOP_AFTER_GRACE, True),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format("null"), ErrorOutcome.STOP, False),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format("alias/aws/rds"), ErrorOutcome.STOP, False),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format(OTHER), ErrorOutcome.STOP, False),
    ("rds", "Throttling", "Rate exceeded", ErrorOutcome.RETRY, False),
    ("rds", "InvalidDBClusterStateFault", "…", ErrorOutcome.RETRY, False),
    ("rds", "DBClusterQuotaExceededFault", "…", ErrorOutcome.STOP, False),
    ("rds", "DBClusterAlreadyExistsFault", "DB Cluster already exists", ErrorOutcome.EXISTS, False),
    ("rds", "InvalidParameterValue", "IAM role ARN value is invalid or …", ErrorOutcome.STOP_AFTER_GRACE, False),
    ("rds", "InvalidParameterValue", "Invalid DB engine", ErrorOutcome.STOP, False),
]


@pytest.mark.parametrize(("service", "code", "message", "outcome", "customer"), RECORDED)
def test_recorded_error_is_classified(
    service: str, code: str, message: str, outcome: ErrorOutcome, customer: bool
) -> None:
    row = classify_error(service, code, message, KEY)

    assert (row.outcome, row.customer_key) == (outcome, customer)


def test_role_without_any_kms_permission_is_the_platforms_fault() -> None:
    message = "… not authorized to perform: kms:Decrypt because no identity-based policy allows the kms:Decrypt action"

    row = classify_error("s3", "AccessDenied", message, KEY)

    assert (row.remedy, row.customer_key) == (Remedy.PLATFORM_PERMISSION, False)


@pytest.mark.parametrize("service", ["s3", "rds"])
def test_unknown_code_is_retried_for_the_grace_period_and_then_stops(service: str) -> None:
    row = classify_error(service, "NeverHeardOf", "…", KEY)

    assert (row.outcome, row.customer_key) == (ErrorOutcome.STOP_AFTER_GRACE, False)


PASSING = ("500", "502", "503", "504", "InternalFailure", "RequestLimitExceeded", "ServiceUnavailable", "Throttling")


@pytest.mark.parametrize(
    ("service", "code"),
    [
        *((service, code) for service in ("kms", "sts") for code in (*PASSING, "ThrottlingException")),
        *(("kms", code) for code in ("ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")),
        *(("sts", code) for code in ("ExpiredToken", "ExpiredTokenException", "IDPCommunicationError")),
    ],
)
def test_transient_error_is_retried_even_if_it_names_a_key(service: str, code: str) -> None:
    row = classify_error(service, code, "…", KEY)

    assert (row.outcome, row.customer_key) == (ErrorOutcome.RETRY, False)
