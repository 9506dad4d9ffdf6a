"""Makes the KMS calls that S3 needs to write and read objects, with the caller's permissions.

PutBucketEncryption does not check the key, so the first write fails if the key is unusable. S3 caches S3 Bucket Keys,
so a revocation can go unnoticed for a while. The local AWS emulator does not model the cache of S3 Bucket Keys.

The encryption context is the ARN of the object, or, with an S3 Bucket Key, the ARN of the bucket (S3 user guide,
"Encryption context" and "Changes to note before enabling an S3 Bucket Key"). A write needs kms:GenerateDataKey. With an
S3 Bucket Key, and for the parts of a multipart upload, a write also needs kms:Decrypt (S3 user guide, "Multipart upload
API and permissions").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from moto.s3.models import FakeBucket, FakeKey

from byok.domain.iam.statements import via_service_value
from localaws.call import AwsError, Call, not_modelled_error
from localaws.kms.authorization import KeyUse, KmsError, authorize_key_use, resolve_key_arn
from localaws.kms.aws_managed_keys import build_aws_managed_key_arn
from localaws.s3.buckets import find_object, find_upload, get_default_rule
from localaws.state import STATE

_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse"})
_AWS_MANAGED_KEY: Final = "alias/aws/s3"
"""The key for a write that requests KMS encryption but does not specify a key (S3 API reference, PutObject)."""
# "S3 Bucket Keys aren't supported" for this algorithm (S3 user guide, "Using dual-layer server-side encryption").
_TWO_LAYERS: Final = "aws:kms:dsse"
_ALGORITHM_HEADER: Final = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION"
_KEY_HEADER: Final = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID"
_BUCKET_KEY_HEADER: Final = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_BUCKET_KEY_ENABLED"


@dataclass(frozen=True)
class _ObjectKey:
    """The KMS key that encrypts one object.

    Attributes:
        reference: The key as specified in the request or in the bucket's default encryption.
        context_arn: The ARN in the encryption context.
    """

    reference: str
    bucket: FakeBucket
    context_arn: str


def use_key_to_write(call: Call, bucket: FakeBucket) -> None:
    """Use the key for a new object or upload, and set the encryption headers that moto stores and returns.

    The headers contain the key's ARN, because S3 resolves an alias only when the object is written.

    Raises:
        AwsError: The key cannot be used, or the headers are invalid.
    """
    if "SSECustomerAlgorithm" in call.params:
        raise not_modelled_error(f"SSECustomerAlgorithm of s3:{call.operation}")
    algorithm, reference = call.params.get("ServerSideEncryption"), call.params.get("SSEKMSKeyId")
    if algorithm is None and reference is None:
        algorithm, reference = _get_default_encryption(bucket)
    if reference is not None and algorithm not in _KMS:
        message = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption"
        raise AwsError("InvalidArgument", f"{message} : aws:kms", 400)
    if algorithm not in _KMS:
        return  # S3's own keys
    reference = reference or _AWS_MANAGED_KEY
    with_bucket_key = algorithm != _TWO_LAYERS and _wants_bucket_key(call.params, bucket)
    key = _ObjectKey(reference, bucket, _context_arn(bucket, call.params["Key"], with_bucket_key))
    arn = _use(call, key, "kms:GenerateDataKey")
    if with_bucket_key:
        _use(call, key, "kms:Decrypt", ciphertext=True)
    call.environ[_ALGORITHM_HEADER], call.environ[_KEY_HEADER] = algorithm, arn
    call.environ[_BUCKET_KEY_HEADER] = str(with_bucket_key).lower()


def use_key_to_read(call: Call, bucket: FakeBucket, key: str, version: str | None) -> None:
    """Use the key of an existing object, if the object is encrypted with a KMS key.

    Raises:
        AwsError: The key cannot be used.
    """
    stored = find_object(bucket, key, version)
    if stored is None or stored.encryption not in _KMS or not stored.kms_key_id:
        return
    context_arn = _context_arn(bucket, key, stored.encryption != _TWO_LAYERS and _is_true(stored.bucket_key_enabled))
    _use(call, _ObjectKey(stored.kms_key_id, bucket, context_arn), "kms:Decrypt", ciphertext=True)


def use_key_of_upload(call: Call, bucket: FakeBucket) -> None:
    """Use the key of a multipart upload: S3 decrypts the parts before it joins them.

    Raises:
        AwsError: The key cannot be used.
    """
    upload = find_upload(bucket, call.params["UploadId"])
    if upload is None or upload.sse_encryption not in _KMS or not upload.kms_key_id:
        return
    context_arn = _context_arn(bucket, call.params["Key"], upload.id in STATE.bucket_key_uploads)
    _use(call, _ObjectKey(upload.kms_key_id, bucket, context_arn), "kms:Decrypt", ciphertext=True)


def remember_upload(call: Call, bucket: FakeBucket) -> None:
    """Record whether the upload that moto just created uses an S3 Bucket Key."""
    if call.environ.get(_BUCKET_KEY_HEADER) == "true":
        STATE.bucket_key_uploads.add(next(reversed(bucket.multiparts)))


def complete_upload(call: Call, bucket: FakeBucket) -> None:
    """Apply the upload's own S3 Bucket Key setting, not the bucket's, to the object that a completed upload created."""
    stored: FakeKey | None = find_object(bucket, call.params["Key"], None)
    if stored is not None:
        stored.bucket_key_enabled = str(call.params["UploadId"] in STATE.bucket_key_uploads).lower()


def _get_default_encryption(bucket: FakeBucket) -> tuple[str | None, str | None]:
    default = get_default_rule(bucket).get("ApplyServerSideEncryptionByDefault", {})
    return default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")


def _wants_bucket_key(params: Mapping[str, Any], bucket: FakeBucket) -> bool:
    """Return whether a write uses an S3 Bucket Key. The request's header overrides the bucket's setting.

    Source: S3 user guide, "Configuring an S3 Bucket Key at the object level".
    """
    return _is_true(params.get("BucketKeyEnabled", get_default_rule(bucket).get("BucketKeyEnabled")))


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _context_arn(bucket: FakeBucket, key: str, with_bucket_key: bool) -> str:
    arn: str = bucket.arn
    return arn if with_bucket_key else f"{arn}/{key}"


def _use(call: Call, key: _ObjectKey, action: str, *, ciphertext: bool = False) -> str:
    region = key.bucket.region_name
    managed = build_aws_managed_key_arn("s3", call.caller.account, region)
    if key.reference in (_AWS_MANAGED_KEY, managed):
        return managed  # the AWS managed key's policy lets every principal of the account use the key through S3
    use = KeyUse(
        caller=call.caller,
        action=action,
        region=region,
        via=via_service_value("s3", region),
        context=(("aws:s3:arn", key.context_arn),),
        ciphertext=ciphertext,
    )
    try:
        return authorize_key_use(resolve_key_arn(key.reference, call.caller.account, region), use).arn
    except KmsError as refused:
        if refused.code == "AccessDeniedException":
            raise AwsError("AccessDenied", refused.message, 403) from refused
        raise AwsError(f"KMS.{refused.code}", refused.message, 400) from refused
