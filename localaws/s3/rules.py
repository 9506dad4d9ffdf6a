"""The S3 rules that moto lacks: policies with conditions, buckets in other accounts, and the KMS keys of objects.

S3 uses the caller's permissions whenever it uses a key. After all checks, moto executes the call.
"""

import json
import re
from typing import Final
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET

from moto.s3.models import FakeBucket

from byok.domain.arns import partition_of_region
from byok.domain.iam.conditions import UnknownConditionError
from byok.domain.iam.evaluator import IMPLICIT_DENY_DECISION, AccessRequest, Decision, Effect, evaluate_policy
from localaws.accounts import (
    authorize,
    build_principal_condition_keys,
    evaluate_identity_access,
    explain_identity_denial,
    to_iam_action,
)
from localaws.call import AwsError, Call, HttpResponse, not_modelled_error
from localaws.s3 import encryption
from localaws.s3.buckets import AES_RULE, find_bucket, get_backend
from localaws.s3.listing import shorten_to_page
from localaws.state import STATE

_WRITES: Final = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_READS: Final = frozenset({"GetObject", "HeadObject"})
_PARTS: Final = frozenset({"UploadPart", "CompleteMultipartUpload"})
# A bucket policy cannot prevent the bucket owner's account from changing the policy (S3 user guide, "Bucket policies").
_OF_THE_POLICY: Final = frozenset({"PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"})
_CONDITION_KEYS: Final = {
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
}
_ACCESS_DENIED: Final = AwsError("AccessDenied", "Access Denied", 403)


def authorize_s3_call(call: Call) -> None:
    """Run all of S3's checks before a call is executed.

    Raises:
        AwsError: S3 rejects the call. The error has S3's code, status and message.
    """
    bucket = find_bucket(call.params["Bucket"])
    if bucket is None or call.operation == "CreateBucket":
        authorize(call, _build_arn(call, call.params["Bucket"], call.params["Key"]))
        return  # moto creates the bucket, or reports that it does not exist
    _authorize_in_bucket(call, call.operation, bucket, call.params["Key"], call.params["VersionId"])
    if call.operation == "CopyObject":
        _read_source(call)
    if call.operation in _WRITES:
        encryption.use_key_to_write(call, bucket)
    elif call.operation in _READS:
        encryption.use_key_to_read(call, bucket, call.params["Key"], call.params["VersionId"])
    elif call.operation in _PARTS:
        encryption.use_key_of_upload(call, bucket)


def get_executing_account(call: Call) -> str:
    """Return the account in which moto executes a call.

    In the caller's account, moto executes CreateBucket and every call to a bucket that does not exist. moto executes
    every other call in the bucket's account.
    """
    bucket = find_bucket(call.params["Bucket"])
    return call.caller.account if bucket is None or call.operation == "CreateBucket" else str(bucket.account_id)


def complete_after_moto(call: Call, answer: HttpResponse) -> None:
    """Add what moto omits: tags of new buckets, default encryption, S3 Bucket Keys of uploads, pages of ListBuckets.

    Raises:
        AwsError: The tags or the page are invalid.
    """
    if call.operation == "ListBuckets":
        shorten_to_page(call, answer)
    bucket = find_bucket(call.params["Bucket"])
    if bucket is None:
        return
    if call.operation == "CreateBucket" and bucket.encryption is None:
        bucket.encryption = AES_RULE
        tags = _parse_tags(call.body)
        if tags:
            get_backend(bucket).put_bucket_tagging(bucket.name, tags)
    if call.operation == "DeleteBucketEncryption":
        bucket.encryption = AES_RULE
    if call.operation == "CreateMultipartUpload":
        encryption.remember_upload(call, bucket)
    if call.operation == "CompleteMultipartUpload":
        encryption.complete_upload(call, bucket)
    if call.operation in {"CompleteMultipartUpload", "AbortMultipartUpload"}:
        STATE.bucket_key_uploads.discard(call.params["UploadId"])


def disable_moto_bucket_policies() -> None:
    """Turn off moto's evaluation of bucket policies: moto ignores their conditions, and would deny every write."""
    from moto.iam.access_control import PermissionResult

    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL


def _authorize_in_bucket(call: Call, operation: str, bucket: FakeBucket, key: str, version: str | None) -> None:
    """Check the caller's own policies and the bucket policy.

    If the caller is in the bucket's account, either policy can allow the call. If the caller is in another account,
    both policies must allow the call (IAM user guide, "Cross-account policy evaluation logic"). An explicit deny in
    either policy overrides any allow.
    """
    action, resource = to_iam_action("s3", operation, version), _build_arn(call, bucket.name, key)
    foreign = bucket.account_id != call.caller.account
    by_identity = evaluate_identity_access(call.caller, action, resource)
    by_bucket = _evaluate_bucket_policy(call, operation, bucket, AccessRequest(call.caller, action, resource))
    by_name = by_bucket.allowed and not by_bucket.by_account and not foreign
    if by_identity.effect is Effect.EXPLICIT_DENY or not (by_identity.allowed or by_name):
        raise AwsError("AccessDenied", explain_identity_denial(call.caller, action, resource) or "", 403)
    if operation == call.operation:  # the expected owner applies to the bucket in the path, not to the source of a copy
        _require_expected_owner(call, bucket)
    if by_bucket.effect is Effect.EXPLICIT_DENY:
        what = f'{action} on resource: "{resource}" with an explicit deny in a resource-based policy'
        raise AwsError("AccessDenied", f"User: {call.caller.arn} is not authorized to perform: {what}", 403)
    if foreign and not by_bucket.allowed:
        raise _ACCESS_DENIED


def _require_expected_owner(call: Call, bucket: FakeBucket) -> None:
    """Reject a call on a bucket that does not belong to the expected owner.

    Sources: S3 user guide, "Verifying bucket ownership with bucket owner condition"; S3 API reference, "Error
    responses".
    """
    expected = call.params.get("ExpectedBucketOwner", bucket.account_id)
    if not re.fullmatch(r"\d{12}", expected):
        message = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
        raise AwsError("InvalidBucketOwnerAWSAccountID", message, 400)
    if expected != bucket.account_id:
        raise _ACCESS_DENIED


def _evaluate_bucket_policy(call: Call, operation: str, bucket: FakeBucket, access: AccessRequest) -> Decision:
    if not bucket.policy or operation in _OF_THE_POLICY:
        return IMPLICIT_DENY_DECISION
    # Clients connect to the local AWS emulator over plain HTTP, but to AWS over TLS. A request therefore counts as
    # secure unless its X-Forwarded-Proto header is `http`.
    context: dict[str, str | list[str]] = {
        "aws:SecureTransport": "false" if call.environ.get("HTTP_X_FORWARDED_PROTO") == "http" else "true",
        **build_principal_condition_keys(call.caller),
    }
    if operation == call.operation:  # the headers describe the new object, not the source of a copy
        context |= {key: call.params[name] for name, key in _CONDITION_KEYS.items() if name in call.params}
    try:
        return evaluate_policy(
            json.loads(bucket.policy), AccessRequest(access.caller, access.action, access.resource, context)
        )
    except UnknownConditionError as error:
        raise not_modelled_error(f"a condition of this bucket policy: {error}") from error


def _read_source(call: Call) -> None:
    """Check that the caller may read the source of a copy, which can be an object version: `bucket/key?versionId=…`."""
    path, _, query = call.params["CopySource"].lstrip("/").partition("?")
    name, _, key = unquote(path).partition("/")
    bucket, version = find_bucket(name), parse_qs(query).get("versionId", [None])[0]
    if bucket is not None:
        _authorize_in_bucket(call, "GetObject", bucket, key, version)
        encryption.use_key_to_read(call, bucket, key, version)


def _build_arn(call: Call, bucket: str, key: str) -> str:
    arn = f"arn:{partition_of_region(call.region)}:s3:::{bucket or '*'}"
    return f"{arn}/{key}" if key else arn


def _parse_tags(body: bytes) -> dict[str, str]:
    """Return the tags in a CreateBucketConfiguration (botocore's S3 model)."""
    if not body:
        return {}
    root = ET.fromstring(re.sub(rb'\sxmlns="[^"]+"', b"", body, count=1))  # noqa: S314 - loopback, own clients
    return {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in root.iter("Tag")}
