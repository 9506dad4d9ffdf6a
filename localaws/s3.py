"""The rules that moto's S3 lacks: key authorization, bucket policies with conditions, IAM, and tags of CreateBucket.

S3 calls KMS as the caller, through `s3.<region>.amazonaws.com`: GenerateDataKey for a write, and Decrypt for a read.
The encryption context is the bucket's ARN with a Bucket Key, and the object's ARN without (S3 user guide, "Reducing
the cost of SSE-KMS with Amazon S3 Bucket Keys"). A write without encryption headers uses the bucket's
default encryption. PutBucketEncryption does not check the key, so a write is the first call that fails if the key is
unusable. In AWS, S3's cache of bucket keys can hide a revocation for a while; this cache is not modelled.
"""

import json
import re
from typing import Any, Final
from xml.etree import ElementTree as ET

from moto.s3.models import FakeBucket, FakeKey, s3_backends

from byok.domain.arns import partition_of_region
from byok.domain.iam.conditions import UnknownConditionError
from byok.domain.iam.evaluator import AccessRequest, Effect, evaluate_policy
from byok.domain.iam.statements import via_service_value
from localaws.accounts import action_of_call, authorize
from localaws.call import AwsError, Call
from localaws.kms.authorization import KeyUse, KmsError, authorize_key_use, resolve_key_arn

_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse"})
_AES: Final = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}
_WRITES: Final = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_KEY_HEADER: Final = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID"


def authorize_s3_call(call: Call) -> None:
    """Run all of S3's checks before a call is executed.

    Raises:
        AwsError: S3 rejects the call. The error has S3's code, status and message.
    """
    name = call.params["Bucket"]
    bucket = _bucket(name)
    authorize(call, _resource(call))
    if bucket is None or call.operation == "CreateBucket":
        return  # moto reports that there is no such bucket, creates it, or reports that it exists
    _check_expected_owner(call, bucket)
    allowed = _apply_bucket_policy(call, bucket)
    if bucket.account_id != call.caller.account and not allowed:
        raise AwsError("AccessDenied", "Access Denied", 403)
    if call.operation in _WRITES:
        _use_key_of_write(call, bucket)
    if call.operation in {"GetObject", "HeadObject"}:
        _use_key_of(call, _object(bucket, call.params["Key"], call.params["VersionId"]), bucket)


def complete_after_moto(call: Call) -> None:
    """Do what moto leaves out of a call: set the tags of CreateBucket, and the default encryption of a bucket.

    Raises:
        AwsError: The tags are invalid.
    """
    bucket = _bucket(call.params["Bucket"])
    if bucket is None:
        return
    if call.operation == "CreateBucket" and bucket.encryption is None:
        bucket.encryption = _AES  # the default since January 2023 (S3 user guide, "Default encryption")
        tags = _tags(call.body)
        if tags:
            _backend(bucket).put_bucket_tagging(bucket.name, tags)
    if call.operation == "DeleteBucketEncryption":
        bucket.encryption = _AES


def disable_moto_bucket_policies() -> None:
    """Stop moto from evaluating bucket policies without their conditions, which would deny every write."""
    from moto.iam.access_control import PermissionResult

    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL


def _bucket(name: str) -> FakeBucket | None:
    owner = s3_backends.bucket_accounts.get(name)
    if owner is None:
        return None
    partition, account = owner
    found: FakeBucket | None = s3_backends[account][partition].buckets.get(name)
    return found


def _backend(bucket: FakeBucket) -> Any:
    return s3_backends[bucket.account_id][bucket.partition]


def _object(bucket: FakeBucket, key: str, version: str | None) -> FakeKey | None:
    found: FakeKey | None = _backend(bucket).get_object(bucket.name, key, version_id=version)
    return found


def _resource(call: Call) -> str:
    bucket, key = call.params["Bucket"], call.params["Key"]
    arn = f"arn:{partition_of_region(call.region)}:s3:::{bucket or '*'}"
    return f"{arn}/{key}" if key else arn


def _check_expected_owner(call: Call, bucket: FakeBucket) -> None:
    """Refuse a bucket whose owner is not the one that the caller expects.

    Sources: S3 user guide, "Verifying bucket ownership with bucket owner condition"; S3 API reference, "Error
    responses".
    """
    expected = call.params.get("ExpectedBucketOwner")
    if expected is None:
        return
    if not re.fullmatch(r"\d{12}", expected):
        message = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
        raise AwsError("InvalidBucketOwnerAWSAccountID", message, 400)
    if expected != bucket.account_id:
        raise AwsError("AccessDenied", "Access Denied", 403)


def _apply_bucket_policy(call: Call, bucket: FakeBucket) -> bool:
    """Return whether the bucket's policy allows the call, which a caller of another account needs.

    Raises:
        AwsError: The policy denies the call.
    """
    if not bucket.policy or call.operation in {"PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"}:
        return False
    # Clients use plain HTTP on the loopback interface, but TLS with AWS. A request therefore counts as secure unless
    # its X-Forwarded-Proto header is `http`.
    context: dict[str, str | list[str]] = {
        "aws:SecureTransport": "false" if call.environ.get("HTTP_X_FORWARDED_PROTO") == "http" else "true",
        "aws:PrincipalAccount": call.caller.account,
        "aws:PrincipalArn": call.caller.role_arn or call.caller.arn,
    }
    headers = {
        "ServerSideEncryption": "s3:x-amz-server-side-encryption",
        "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    }
    context |= {headers[name]: call.params[name] for name in headers if name in call.params}
    access = AccessRequest(call.caller, action_of_call(call), _resource(call), context)
    try:
        decision = evaluate_policy(json.loads(bucket.policy), access)
    except UnknownConditionError as error:
        raise AwsError("NotImplemented", f"The local AWS cannot evaluate this bucket policy: {error}.", 501) from error
    if decision.effect is Effect.EXPLICIT_DENY:
        message = (
            f"User: {call.caller.arn} is not authorized to perform: {access.action} on resource: "
            f'"{access.resource}" with an explicit deny in a resource-based policy'
        )
        raise AwsError("AccessDenied", message, 403)
    return decision.allowed


def _use_key_of_write(call: Call, bucket: FakeBucket) -> None:
    if call.operation == "CopyObject":
        _use_key_of_source(call)
    algorithm, reference = call.params.get("ServerSideEncryption"), call.params.get("SSEKMSKeyId")
    if "SSECustomerAlgorithm" in call.params:
        return
    if algorithm is None and reference is None:
        algorithm, reference = get_default_encryption(bucket)
    if reference is not None and algorithm not in _KMS:
        message = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption"
        raise AwsError("InvalidArgument", f"{message} : aws:kms", 400)
    if algorithm not in _KMS or reference is None:
        return  # S3's own key, or the AWS managed key aws/s3: neither is the customer's
    bucket_key = call.params.get("BucketKeyEnabled", _default_rule(bucket).get("BucketKeyEnabled"))
    context = _encryption_context(bucket, call.params["Key"], bucket_key)
    arn = _use_key(call, reference, "kms:GenerateDataKey", bucket, context)
    # S3 stores and returns the key's ARN, so an alias is resolved only once, at the write.
    if _KEY_HEADER in call.environ:
        call.environ[_KEY_HEADER] = arn


def _use_key_of_source(call: Call) -> None:
    source = call.params["CopySource"].lstrip("/").split("?")[0]
    name, _, key = source.partition("/")
    bucket = _bucket(name)
    if bucket is not None:
        _use_key_of(call, _object(bucket, key, None), bucket)


def _use_key_of(call: Call, stored: FakeKey | None, bucket: FakeBucket) -> None:
    if stored is None or stored.encryption not in _KMS or not stored.kms_key_id:
        return
    context = _encryption_context(bucket, stored.name, stored.bucket_key_enabled)
    _use_key(call, stored.kms_key_id, "kms:Decrypt", bucket, context, ciphertext=True)


def _encryption_context(bucket: FakeBucket, key: str, bucket_key: str | bool | None) -> str:
    """Return the ARN in the encryption context; moto keeps the setting as text, as a truth value or not at all."""
    arn = str(bucket.arn)
    return arn if str(bucket_key).lower() == "true" else f"{arn}/{key}"


def _use_key(
    call: Call, reference: str, action: str, bucket: FakeBucket, context: str, *, ciphertext: bool = False
) -> str:
    use = KeyUse(
        caller=call.caller,
        action=action,
        region=bucket.region_name,
        via=via_service_value("s3", bucket.region_name),
        context=(("aws:s3:arn", context),),
        ciphertext=ciphertext,
    )
    try:
        return authorize_key_use(resolve_key_arn(reference, call.caller.account, bucket.region_name), use).arn
    except KmsError as refused:
        if refused.code == "AccessDeniedException":
            raise AwsError("AccessDenied", refused.message, 403) from refused
        raise AwsError(f"KMS.{refused.code}", refused.message, 400) from refused


def get_default_encryption(bucket: FakeBucket) -> tuple[str | None, str | None]:
    """Return the bucket's default algorithm and key."""
    default = _default_rule(bucket).get("ApplyServerSideEncryptionByDefault", {})
    return default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")


def _default_rule(bucket: FakeBucket) -> dict[str, Any]:
    rule: Any = (bucket.encryption or _AES)["Rule"]
    found: dict[str, Any] = rule[0] if isinstance(rule, list) else rule
    return found


def _tags(body: bytes) -> dict[str, str]:
    """Return the tags in a CreateBucketConfiguration (botocore's S3 model)."""
    if not body:
        return {}
    root = ET.fromstring(re.sub(rb'\sxmlns="[^"]+"', b"", body, count=1))  # noqa: S314 - loopback, own clients
    return {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in root.iter("Tag")}
