"""Identifies the operation of an S3 request, and lists the modelled parameters of each operation.

If a parameter in a header or in the query is not modelled, the request fails with an error that names the parameter.
moto handles request bodies.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from moto.core.utils import get_service_model

from localaws.call import not_modelled_error

# An S3 operation is determined by the method, the bucket or key in the path (if any), and the query string (S3 API
# reference).
S3_OPERATIONS: Final[dict[tuple[str, str, str], str]] = {
    ("GET", "service", ""): "ListBuckets",
    ("PUT", "bucket", ""): "CreateBucket",
    ("HEAD", "bucket", ""): "HeadBucket",
    ("DELETE", "bucket", ""): "DeleteBucket",
    ("GET", "bucket", ""): "ListObjects",
    ("GET", "bucket", "list-type"): "ListObjectsV2",
    ("GET", "bucket", "versions"): "ListObjectVersions",
    ("GET", "bucket", "location"): "GetBucketLocation",
    ("POST", "bucket", "delete"): "DeleteObjects",
    **{
        (method, "bucket", query): f"{verb}{name}"
        for query, name in {
            "encryption": "BucketEncryption",
            "policy": "BucketPolicy",
            "tagging": "BucketTagging",
            "publicAccessBlock": "PublicAccessBlock",
            "ownershipControls": "BucketOwnershipControls",
            "lifecycle": "BucketLifecycleConfiguration",
            "versioning": "BucketVersioning",
        }.items()
        for method, verb in (("GET", "Get"), ("PUT", "Put"), ("DELETE", "Delete"))
        if method != "DELETE" or query not in {"lifecycle", "versioning"}
    },
    ("DELETE", "bucket", "lifecycle"): "DeleteBucketLifecycle",
    ("PUT", "object", ""): "PutObject",
    ("GET", "object", ""): "GetObject",
    ("HEAD", "object", ""): "HeadObject",
    ("DELETE", "object", ""): "DeleteObject",
    ("POST", "object", "uploads"): "CreateMultipartUpload",
    ("PUT", "object", "uploadId"): "UploadPart",
    ("POST", "object", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "object", "uploadId"): "AbortMultipartUpload",
    ("GET", "object", "uploadId"): "ListParts",
    ("GET", "object", "tagging"): "GetObjectTagging",
    ("PUT", "object", "tagging"): "PutObjectTagging",
}
_SUBRESOURCES: Final = sorted({query for _, _, query in S3_OPERATIONS if query})

# moto keeps checksums and returns them. moto does not verify checksums, because nothing can corrupt a body on the
# loopback interface.
_CHECKSUMS: Final = frozenset(
    {
        *("ContentMD5", "ChecksumAlgorithm", "ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1"),
        *("ChecksumSHA256", "ChecksumType"),
    }
)
_DESCRIPTION: Final = frozenset(
    {
        *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"),
        *("Metadata", "StorageClass", "Tagging"),
    }
)
_ENCRYPTION: Final = frozenset({"ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"})
# Customer-provided keys are modelled only so that bucket policies can deny a write with such a key. If no policy denies
# such a write, the local AWS emulator rejects it as not modelled.
_CUSTOMER_KEY: Final = frozenset({"SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5"})
_PRECONDITIONS: Final = frozenset({"IfMatch", "IfNoneMatch"})
# moto keeps a locked version until the lock expires, and requires a checksum in a request that sets a lock.
_OBJECT_LOCK: Final = frozenset({"ObjectLockMode", "ObjectLockRetainUntilDate"})
_READ: Final = frozenset(
    {
        *("VersionId", "Range", "PartNumber", "ChecksumMode", "IfModifiedSince", "IfUnmodifiedSince", *_PRECONDITIONS),
        *("ResponseCacheControl", "ResponseContentDisposition", "ResponseContentEncoding", "ResponseContentLanguage"),
        *("ResponseContentType", "ResponseExpires"),
    }
)
_LISTING: Final = frozenset({"Delimiter", "EncodingType", "MaxKeys", "Prefix"})
# Every operation on an existing bucket accepts ExpectedBucketOwner. Every request with a body has a length and can have
# a checksum.
_EVERYWHERE: Final = frozenset({"ExpectedBucketOwner", "ContentLength", "ContentMD5", "ChecksumAlgorithm"})
_OWN_PARAMS: Final[dict[str, frozenset[str]]] = {
    "ListBuckets": frozenset({"BucketRegion", "ContinuationToken", "MaxBuckets", "Prefix"}),
    "CreateBucket": frozenset({"ObjectLockEnabledForBucket", "ObjectOwnership"}),
    "ListObjects": _LISTING | {"Marker"},
    "ListObjectsV2": _LISTING | {"ContinuationToken", "FetchOwner", "StartAfter"},
    "ListObjectVersions": _LISTING | {"KeyMarker", "VersionIdMarker"},
    "PutObject": _DESCRIPTION | _ENCRYPTION | _CUSTOMER_KEY | _CHECKSUMS | _PRECONDITIONS | _OBJECT_LOCK,
    "CopyObject": _DESCRIPTION | _ENCRYPTION | _CUSTOMER_KEY | {"CopySource", "MetadataDirective", "TaggingDirective"},
    "CreateMultipartUpload": _DESCRIPTION | _ENCRYPTION | _CUSTOMER_KEY | _CHECKSUMS,
    "GetObject": _READ,
    "HeadObject": _READ,
    "DeleteObject": frozenset({"VersionId", "IfMatch"}),
    "UploadPart": _CHECKSUMS | {"PartNumber", "UploadId"},
    "CompleteMultipartUpload": _CHECKSUMS | {"UploadId", "IfNoneMatch"},
    "AbortMultipartUpload": frozenset({"UploadId"}),
    "ListParts": frozenset({"MaxParts", "PartNumberMarker", "UploadId"}),
    "GetObjectTagging": frozenset({"VersionId"}),
    "PutObjectTagging": frozenset({"VersionId"}),
}
S3_PARAMS: Final[dict[str, frozenset[str]]] = {
    name: _OWN_PARAMS.get(name, frozenset()) | _EVERYWHERE for name in (*S3_OPERATIONS.values(), "CopyObject")
}
"""Every modelled operation, with its modelled parameters in headers and in the query."""

# Protocol headers and query parameters: signatures, checksums of the body, and the client's identity.
_PROTOCOL_HEADERS: Final = re.compile(
    r"x-amz-(date|content-sha256|security-token|user-agent|decoded-content-length|trailer|te|sdk-checksum-algorithm|"
    r"checksum-(crc32|crc32c|crc64nvme|sha1|sha256))"
)
_PROTOCOL_QUERY: Final = re.compile(r"x-id|X-Amz-.*")


def parse_s3_path(environ: dict[str, Any]) -> tuple[str, str]:
    """Return the bucket and the key in the path of an S3 request, with an empty string for a missing part."""
    bucket, _, key = environ.get("PATH_INFO", "/").lstrip("/").partition("/")
    return bucket, unquote(key) if "%" in key else key


def parse_s3_operation(environ: dict[str, Any]) -> str:
    """Return the API operation of a request.

    Raises:
        AwsError: `NotImplemented` for an operation or a parameter that is not modelled.
    """
    bucket, key = parse_s3_path(environ)
    method, kind = environ["REQUEST_METHOD"], "object" if key else "bucket" if bucket else "service"
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    named = [name for name in _SUBRESOURCES if name in query]
    operation = S3_OPERATIONS.get((method, kind, named[0] if named else ""))
    if operation is not None and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        operation = "CopyObject" if operation == "PutObject" else None
    if operation is None:
        what = f"{method} of a {kind} with {', '.join(query) or 'nothing'} in its query"
        raise not_modelled_error(f"this S3 call: {what}")
    unmodelled = sorted(_find_unmodelled_params(operation, environ, {name for name in query if name not in named}))
    if unmodelled:
        raise not_modelled_error(f"{', '.join(unmodelled)} of s3:{operation}")
    return operation


def _find_unmodelled_params(operation: str, environ: dict[str, Any], query: set[str]) -> Iterator[str]:
    """Yield the names of unmodelled parameters, unknown query parameters, and unknown `x-amz-` headers."""
    headers = {name.removeprefix("HTTP_").replace("_", "-").lower() for name in environ if name.startswith("HTTP_")}
    headers = {name for name in headers if not _PROTOCOL_HEADERS.fullmatch(name)}
    for name, member in get_service_model("s3").operation_model(operation).input_shape.members.items():
        place, wire_name = member.serialization.get("location"), member.serialization.get("name", "")
        if place == "querystring":
            given, query = wire_name in query, query - {wire_name}
        elif place in {"header", "headers"}:
            matched = {one for one in headers if _matches(one, wire_name.lower(), place)}
            given, headers = bool(matched), headers - matched
        else:
            continue
        if given and name not in S3_PARAMS[operation]:
            yield name
    yield from (name for name in query if not _PROTOCOL_QUERY.fullmatch(name))
    yield from (name for name in headers if name.startswith("x-amz-"))


def _matches(header: str, name: str, place: str) -> bool:
    """Return whether a header matches an input member: by its full name or, for `x-amz-meta-…`, by the prefix."""
    return header.startswith(name) if place == "headers" else header == name
