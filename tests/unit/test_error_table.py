"""The error table covers every call that byok makes, and classifies AWS's recorded errors correctly."""

import ast
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import Shape
from botocore.retries import standard

from byok.domain.arns import KeyPurpose
from byok.domain.problems.aws_errors import ERROR_RULES, OPERATIONS_BY_SERVICE, ErrorOutcome, classify_error
from byok.domain.problems.aws_errors.rule import HOLD, RETRY, ErrorRule
from byok.domain.problems.remediation import REMEDY_TEXTS, Remedy, RemedyContext, build_remediation
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
def test_every_rule_has_a_remedy(row: ErrorRule) -> None:
    subject = RemedyContext("eu-central-1", "arn:aws:iam::111122223333:role/P", VendorProfile(), KeyPurpose.S3, KEY)
    assert build_remediation(row.remedy, subject).steps


def test_general_rules_follow_specific_ones() -> None:
    seen: set[tuple[str, str]] = set()
    for row in ERROR_RULES:
        assert (row.service, row.code) not in seen, f"{row.service}.{row.code} is unreachable"
        if row.message is None:
            seen.add((row.service, row.code))


RECORDED = [
    ("s3", "KMS.NotFoundException", f"Key '{KEY}' does not exist", ErrorOutcome.STOP_AFTER_GRACE, Remedy.CHECK_ARN),
    ("s3", "KMS.NotFoundException", "Invalid keyId 'fake-key-id'", ErrorOutcome.STOP, Remedy.CHECK_ARN),
    ("s3", "KMS.NotFoundException", "Invalid arn us-west-2", ErrorOutcome.STOP, Remedy.CHECK_ARN),
    ("s3", "KMS.DisabledException", f"{KEY} is disabled.", ErrorOutcome.STOP, Remedy.ENABLE_KEY),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is pending deletion.", ErrorOutcome.STOP, Remedy.CANCEL_DELETION),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is pending import.", ErrorOutcome.STOP, Remedy.IMPORT_MATERIAL),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is unavailable.", ErrorOutcome.STOP_AFTER_GRACE, Remedy.KEY_STATE),
    ("s3", "KMS.KMSInvalidStateException", f"{KEY} is creating.", ErrorOutcome.STOP_AFTER_GRACE, Remedy.KEY_STATE),
    (
        "s3",
        "KMS.InvalidKeyUsageException",
        f"{KEY} key usage is SIGN_VERIFY …",
        ErrorOutcome.STOP,
        Remedy.SYMMETRIC_KEY,
    ),
    ("s3", "AccessDenied", DENIED.format("kms:GenerateDataKey"), ErrorOutcome.STOP_AFTER_GRACE, Remedy.S3_KEY_POLICY),
    ("s3", "AccessDenied", DENIED.format("s3:PutObject"), ErrorOutcome.STOP, Remedy.PLATFORM_PERMISSION),
    ("s3", "AccessDenied", "Access Denied", ErrorOutcome.STOP, Remedy.PLATFORM_PERMISSION),
    ("s3", "SlowDown", "Please reduce your request rate.", ErrorOutcome.HOLD, Remedy.WAIT),
    ("s3", "OperationAborted", "A conflicting conditional operation …", ErrorOutcome.RETRY, Remedy.WAIT),
    ("s3", "KMS.ThrottlingException", "Rate exceeded", ErrorOutcome.HOLD, Remedy.WAIT),
    ("s3", "BucketAlreadyOwnedByYou", "…", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN),
    ("s3", "BucketAlreadyExists", "…", ErrorOutcome.STOP, Remedy.BUCKET_OF_ANOTHER_ACCOUNT),
    ("rds", "KMSKeyNotAccessibleFault", CLASSIC.format(KEY), ErrorOutcome.STOP_AFTER_GRACE, Remedy.RDS_KEY),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format(KEY), ErrorOutcome.STOP_AFTER_GRACE, Remedy.RDS_KEY),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format("null"), ErrorOutcome.STOP, Remedy.PLATFORM_KEY),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format("alias/aws/rds"), ErrorOutcome.STOP, Remedy.PLATFORM_KEY),
    ("rds", "KMSKeyNotAccessibleFault", OF_2026.format(OTHER), ErrorOutcome.STOP, Remedy.PLATFORM_KEY),
    ("rds", "Throttling", "Rate exceeded", ErrorOutcome.HOLD, Remedy.WAIT),
    ("rds", "InvalidDBClusterStateFault", "…", ErrorOutcome.RETRY, Remedy.WAIT),
    ("rds", "DBClusterQuotaExceededFault", "…", ErrorOutcome.STOP, Remedy.QUOTA),
    ("rds", "DBClusterAlreadyExistsFault", "DB Cluster already exists", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN),
    (
        "rds",
        "InvalidParameterValue",
        "IAM role ARN value is invalid or …",
        ErrorOutcome.STOP_AFTER_GRACE,
        Remedy.PLATFORM_PERMISSION,
    ),
    ("rds", "InvalidParameterValue", "Invalid DB engine", ErrorOutcome.STOP, Remedy.PLATFORM_OPERATOR),
    (
        "kms",
        "AccessDeniedException",
        DENIED.format("kms:TagResource"),
        ErrorOutcome.STOP_AFTER_GRACE,
        Remedy.TENANT_ROLE,
    ),
    ("kms", "NotFoundException", f"Key '{KEY}' does not exist", ErrorOutcome.STOP_AFTER_GRACE, Remedy.CHECK_ARN),
    ("kms", "InvalidArnException", "Invalid arn", ErrorOutcome.STOP, Remedy.CHECK_ARN),
    ("kms", "KMSInvalidStateException", f"{KEY} is pending deletion.", ErrorOutcome.STOP, Remedy.CANCEL_DELETION),
    ("kms", "KMSInvalidStateException", f"{KEY} is unavailable.", ErrorOutcome.STOP_AFTER_GRACE, Remedy.KEY_STATE),
    ("kms", "LimitExceededException", "…", ErrorOutcome.STOP, Remedy.KEY_LIMIT),
    ("kms", "TagException", "…", ErrorOutcome.STOP, Remedy.KEY_LIMIT),
    ("kms", "AlreadyExistsException", "…", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN),
    ("sts", "AccessDenied", DENIED.format("sts:AssumeRole"), ErrorOutcome.STOP_AFTER_GRACE, Remedy.TENANT_ROLE),
]


@pytest.mark.parametrize(("service", "code", "message", "outcome", "remedy"), RECORDED)
def test_recorded_error_is_classified(
    service: str, code: str, message: str, outcome: ErrorOutcome, remedy: Remedy
) -> None:
    row = classify_error(service, code, message, KEY)

    assert (row.outcome, row.remedy) == (outcome, remedy)


# The sources of these codes: "Common errors" in the references of the S3 and RDS APIs, and S3's "Error responses".
ABSENT = [
    *(("s3", code) for code in ("404", "NoSuchBucket", "NoSuchBucketPolicy", "NoSuchKey", "NoSuchTagSet")),
    ("s3", "NoSuchPublicAccessBlockConfiguration"),
    ("s3", "OwnershipControlsNotFoundError"),
    ("s3", "ServerSideEncryptionConfigurationNotFoundError"),
    *(("rds", code) for code in ("DBClusterNotFoundFault", "DBClusterSnapshotNotFoundFault", "DBInstanceNotFound")),
]
BUSY = [
    *(("s3", code) for code in ("BadDigest", "ConditionalRequestConflict", "IncompleteBody")),
    ("s3", "KMS.KeyUnavailableException"),
    ("rds", "PriorRequestNotComplete"),
    # A resource's state can change, so the same request can succeed later.
    *(("rds", code) for code in ("InvalidDBInstanceState", "InvalidDBClusterSnapshotStateFault")),
    *(("rds", code) for code in ("InvalidDBSubnetGroupStateFault", "InvalidGlobalClusterStateFault")),
    ("rds", "InvalidDBCapacityReservationState"),
]

OUTAGES = [
    *(("s3", code) for code in ("InternalError", "RequestTimeout", "ServiceUnavailable", "500", "502", "503", "504")),
    *(("s3", f"KMS.{code}") for code in ("DependencyTimeoutException", "KMSInternalException")),
    *(("rds", code) for code in ("500", "502", "503", "504", "InternalFailure", "ServiceUnavailable")),
    *(("rds", code) for code in ("RequestLimitExceeded", "ThrottlingException")),
    *(("rds", code) for code in ("InsufficientDBInstanceCapacity", "InsufficientStorageClusterCapacity")),
    *(("kms", code) for code in ("DependencyTimeoutException", "KMSInternalException")),
]
FORBIDDEN = [
    *(("s3", code) for code in ("403", "AllAccessDisabled", "AccountProblem")),
    *(("rds", code) for code in ("AccessDenied", "AccessDeniedException", "AuthorizationNotFound")),
]
UNKNOWN_CALLER = [
    *(("s3", code) for code in ("InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch")),
    *(("rds", code) for code in ("IncompleteSignature", "InvalidClientTokenId", "MissingAuthenticationToken")),
    *(("rds", code) for code in ("OptInRequired", "SignatureDoesNotMatch")),
    *(("sts", code) for code in ("InvalidClientTokenId", "SignatureDoesNotMatch")),
    *((service, "ExpiredToken") for service in ("s3", "rds", "sts")),
    *((service, "ExpiredTokenException") for service in ("rds", "sts")),
    *((service, "RequestExpired") for service in ("rds", "sts")),
]
REJECTED = [
    *(("s3", code) for code in ("301", "AuthorizationHeaderMalformed", "BucketNotEmpty", "InvalidArgument")),
    *(("s3", code) for code in ("IllegalLocationConstraintException", "InvalidBucketName", "InvalidBucketState")),
    *(("s3", code) for code in ("InvalidLocationConstraint", "InvalidTag", "MalformedXML", "MethodNotAllowed")),
    *(("s3", code) for code in ("NotImplemented", "PermanentRedirect")),
    *(("rds", code) for code in ("InvalidParameterCombination", "MissingParameter", "ValidationError")),
    *(("kms", code) for code in ("UnsupportedOperationException", "ValidationException")),
    ("sts", "ValidationError"),
]


def test_rule_blames_the_customers_key_exactly_if_the_customer_must_act() -> None:
    platforms_task = {
        remedy
        for remedy, text in REMEDY_TEXTS.items()
        if text.explanation.startswith("The customer does not need to do anything")
    }
    unexpected = [row for row in ERROR_RULES if row.customer_key == (row.remedy in platforms_task)]

    # If STS denies access, the customer must correct the optional role, but no key is at fault.
    assert [(row.service, row.code) for row in unexpected] == [("sts", "AccessDenied")]


def test_remedy_suits_the_outcome() -> None:
    for row in ERROR_RULES:
        assert (row.remedy is Remedy.WAIT) <= (row.outcome in {RETRY, ErrorOutcome.ABSENT, HOLD}), row
        assert (row.remedy is Remedy.WAIT) >= (row.outcome in {RETRY, ErrorOutcome.ABSENT}), row
        assert (row.remedy is Remedy.PLATFORM_CREDENTIALS) <= (row.outcome is HOLD), row  # contract 151
        assert (row.remedy is Remedy.NAME_TAKEN) == (row.outcome is ErrorOutcome.EXISTS), row


# A bucket policy can name a role that has not propagated yet. HEAD requests return 400 if S3 cannot use the KMS key of
# the object.
POSSIBLY_TEMPORARY = [("s3", "400"), ("s3", "MalformedPolicy")]


def test_request_that_aws_rejects_is_not_repeated() -> None:
    rows = [row for row in ERROR_RULES if row.remedy is Remedy.PLATFORM_OPERATOR]
    assert {row.outcome for row in rows} == {ErrorOutcome.STOP, ErrorOutcome.STOP_AFTER_GRACE}
    assert [(row.service, row.code) for row in rows if row.outcome is not ErrorOutcome.STOP] == POSSIBLY_TEMPORARY


def test_errors_that_botocore_retries_are_retried() -> None:
    throttled: Any = standard.ThrottledRetryableChecker
    transient: Any = standard.TransientRetryableChecker
    retried = {
        *throttled._THROTTLED_ERROR_CODES,
        *transient._TRANSIENT_ERROR_CODES,
        *map(str, transient._TRANSIENT_STATUS_CODES),
    }
    stopped = {
        (row.service, row.code) for row in ERROR_RULES if row.code in retried if row.outcome not in {RETRY, HOLD}
    }

    # KMS does not use this code for throttling. The code means that the key has the maximum number of aliases (KMS API
    # reference, CreateAlias).
    assert stopped == {("kms", "LimitExceededException")}


@pytest.mark.parametrize(("service", "code"), [pair for pair in modelled_errors() if "Quota" in pair[1]])
def test_exceeded_quota_stops_at_once(service: str, code: str) -> None:
    row = classify_error(service, code, "…")

    assert (row.outcome, row.remedy) == (ErrorOutcome.STOP, Remedy.QUOTA)


@pytest.mark.parametrize(
    ("service", "code", "outcome", "remedy"),
    [
        *((*pair, ErrorOutcome.ABSENT, Remedy.WAIT) for pair in ABSENT),
        *((*pair, RETRY, Remedy.WAIT) for pair in BUSY),
        *((*pair, HOLD, Remedy.WAIT) for pair in OUTAGES),
        *((*pair, ErrorOutcome.STOP, Remedy.PLATFORM_PERMISSION) for pair in FORBIDDEN),
        *((*pair, HOLD, Remedy.PLATFORM_CREDENTIALS) for pair in UNKNOWN_CALLER),
        *((*pair, ErrorOutcome.STOP, Remedy.PLATFORM_OPERATOR) for pair in REJECTED),
        ("s3", "TooManyBuckets", ErrorOutcome.STOP, Remedy.QUOTA),
        ("s3", "PreconditionFailed", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN),
        ("rds", "DBInstanceAlreadyExists", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN),
    ],
)
def test_error_is_handled_by_its_meaning(service: str, code: str, outcome: ErrorOutcome, remedy: Remedy) -> None:
    row = classify_error(service, code, "…")

    assert (row.outcome, row.remedy) == (outcome, remedy)


def test_role_without_any_kms_permission_is_the_platforms_fault() -> None:
    message = "… not authorized to perform: kms:Decrypt because no identity-based policy allows the kms:Decrypt action"

    row = classify_error("s3", "AccessDenied", message, KEY)

    assert (row.outcome, row.remedy) == (ErrorOutcome.STOP_AFTER_GRACE, Remedy.PLATFORM_PERMISSION)
    assert not row.customer_key


@pytest.mark.parametrize("service", ["s3", "rds"])
def test_unknown_code_is_retried_for_the_grace_period_and_then_stops(service: str) -> None:
    row = classify_error(service, "NeverHeardOf", "…", KEY)

    assert row == ErrorRule(service, "NeverHeardOf", ErrorOutcome.STOP_AFTER_GRACE, Remedy.PLATFORM_OPERATOR)


def test_rule_for_one_of_the_platforms_keys_keeps_the_error_code() -> None:
    row = classify_error("rds", "KMSKeyNotAccessibleFault", OF_2026.format(OTHER), KEY)

    assert row == ErrorRule("rds", "KMSKeyNotAccessibleFault", ErrorOutcome.STOP, Remedy.PLATFORM_KEY)


PASSING = ("500", "502", "503", "504", "InternalFailure", "RequestLimitExceeded", "ServiceUnavailable", "Throttling")


@pytest.mark.parametrize(
    ("service", "code"),
    [
        *((service, code) for service in ("kms", "sts") for code in (*PASSING, "ThrottlingException")),
        *(("kms", code) for code in ("ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")),
        *(("sts", code) for code in ("ExpiredToken", "ExpiredTokenException", "IDPCommunicationError")),
    ],
)
def test_transient_error_holds_even_if_it_names_a_key(service: str, code: str) -> None:
    row = classify_error(service, code, "…", KEY)

    assert (row.outcome, row.customer_key) == (HOLD, False)


PLATFORM_ROLE = "arn:aws:iam::111122223333:role/service/Platform"
OTHER_CALLERS = [
    "arn:aws:sts::111122223333:assumed-role/Other/worker",
    "arn:aws:sts::999988887777:assumed-role/Platform/worker",
    "arn:aws:iam::111122223333:user/Operator",
]
# The forms of AWS's access-denied message, as recorded for S3 with a key in another account, and as documented in the
# IAM user guide, "Access denied error messages".
DENIALS = [
    (
        "s3",
        "AccessDenied",
        "User: {} is not authorized to perform: kms:GenerateDataKey on this resource because the resource does not "
        "exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies "
        "access",
    ),
    (
        "s3",
        "AccessDenied",
        f"User: {{}} is not authorized to perform: kms:GenerateDataKey on resource: {KEY} because no resource-based "
        "policy allows the kms:GenerateDataKey action",
    ),
    (
        "rds",
        "AccessDenied",
        "User: {} is not authorized to perform: rds:CreateDBCluster on resource: "
        "arn:aws:rds:eu-central-1:111122223333:cluster:byok-acme because no identity-based policy allows the "
        "rds:CreateDBCluster action",
    ),
    (
        "sts",
        "AccessDenied",
        "User: {} is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::444455556666:role/TenantRole",
    ),
]


@pytest.mark.parametrize("caller", OTHER_CALLERS)
@pytest.mark.parametrize(("service", "code", "message"), DENIALS)
def test_denial_of_another_principal_holds_and_blames_no_key(
    service: str, code: str, message: str, caller: str
) -> None:
    row = classify_error(service, code, message.format(caller), KEY, PLATFORM_ROLE)

    assert (row.outcome, row.remedy, row.customer_key) == (HOLD, Remedy.PLATFORM_CREDENTIALS, False)  # contract 151


@pytest.mark.parametrize(("service", "code", "message"), DENIALS)
def test_denial_of_the_platform_role_is_handled_by_its_own_rule(service: str, code: str, message: str) -> None:
    text = message.format("arn:aws:sts::111122223333:assumed-role/Platform/worker")

    row = classify_error(service, code, text, KEY, PLATFORM_ROLE)

    assert row == classify_error(service, code, text, KEY)
    assert row.outcome is not HOLD


def test_denial_of_the_tenant_role_is_not_a_fault_of_the_platform() -> None:
    text = "User: arn:aws:sts::444455556666:assumed-role/TenantRole/byok is not authorized to perform: kms:TagResource"

    row = classify_error("kms", "AccessDeniedException", text, KEY, PLATFORM_ROLE)

    assert row.remedy is Remedy.TENANT_ROLE
