"""S3: buckets with their settings, and objects with their versions. Settings are returned exactly as written."""

import base64
import hashlib
import re
import time
import uuid
import zlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from bench.stand_in.copies import CopyTexts
from bench.stand_in.messages import AwsError, HttpRequest, HttpResponse, new_request_id, not_modelled_error, render_xml

Handler = Callable[[HttpRequest, str], HttpResponse]

_AES: Final = (
    b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    b"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
    b"</ServerSideEncryptionConfiguration>"
)
_SETTINGS: Final = {
    "encryption": "BucketEncryption",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "publicAccessBlock": "PublicAccessBlock",
    "versioning": "BucketVersioning",
}
_ABSENT: Final = {
    "policy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "publicAccessBlock": (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
    "ownershipControls": ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
    "tagging": ("NoSuchTagSet", "The TagSet does not exist"),
}
_DEFAULTS: Final = {"encryption": _AES, "versioning": b"<VersioningConfiguration/>"}
_TAG: Final = re.compile(rb"<Tag>.*?</Tag>", re.DOTALL)
_ALGORITHM: Final = re.compile(rb"<SSEAlgorithm>(.*?)</SSEAlgorithm>")
_KEY: Final = re.compile(rb"<KMSMasterKeyID>(.*?)</KMSMasterKeyID>")
_SSE: Final = "x-amz-server-side-encryption"
_SSE_KEY: Final = f"{_SSE}-aws-kms-key-id"
_CHECKSUM: Final = "x-amz-checksum-crc32"
_OWNER: Final = {"DisplayName": "webfile", "ID": "bcaf1ffd86f41161ca5fb16fd081034f"}
_OBJECT_OWNER: Final = _OWNER | {"ID": "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"}


@dataclass(slots=True)
class ObjectVersion:
    """One version of an object.

    Attributes:
        written: Headers that S3 returns when the version is written and when it is read.
        described: Headers that S3 returns only when the version is read.
    """

    version_id: str | None
    at: str
    body: bytes
    etag: str
    written: dict[str, str]
    described: dict[str, str]
    checksums: dict[str, str]
    tags: str


@dataclass(slots=True)
class Bucket:
    """A bucket, with its settings by query parameter, and all versions of its objects, oldest version first.

    Attributes:
        keys: The keys of all objects, sorted.
    """

    name: str
    region: str
    number: int
    settings: dict[str, bytes]
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z")
    objects: dict[str, list[ObjectVersion]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    default_encryption: dict[str, str] = field(default_factory=lambda: {_SSE: "AES256"})
    versioned: bool = False

    def add_object(self, key: str, versions: list[ObjectVersion]) -> None:
        """Add an object, or replace it."""
        if key not in self.objects:
            insort(self.keys, key)
        self.objects[key] = versions

    def remove_object(self, key: str) -> list[ObjectVersion]:
        """Remove an object, and return its versions. If the object does not exist, return an empty list."""
        if key in self.objects:
            del self.keys[bisect_left(self.keys, key)]
        return self.objects.pop(key, [])


class S3Service:
    """All buckets, and S3's operations on them.

    Attributes:
        disabled_keys: The ARNs of the KMS keys that S3 cannot use.
    """

    def __init__(self) -> None:
        self.disabled_keys: set[str] = set()
        self._buckets: dict[str, Bucket] = {}
        self._names: list[str] = []
        self._made = 0
        # The method, the kind of path and the names in the query determine the operation.
        self._operations: dict[tuple[str, str, str], tuple[str, Handler]] = {
            ("GET", "service", ""): ("ListBuckets", self.list_buckets),
            ("GET", "service", "prefix&max-buckets"): ("ListBuckets", self.list_buckets),
            ("PUT", "bucket", ""): ("CreateBucket", self.create_bucket),
            ("HEAD", "bucket", ""): ("HeadBucket", self.head_bucket),
            ("DELETE", "bucket", ""): ("DeleteBucket", self.delete_bucket),
            ("GET", "bucket", "list-type&prefix&start-after&encoding-type"): ("ListObjectsV2", self.list_objects),
            ("GET", "bucket", "versions"): ("ListObjectVersions", self.list_object_versions),
            ("GET", "bucket", "versions&encoding-type"): ("ListObjectVersions", self.list_object_versions),
            ("GET", "bucket", "tagging"): ("GetBucketTagging", partial(self.get_setting, "tagging")),
            ("PUT", "bucket", "lifecycle"): ("PutBucketLifecycleConfiguration", partial(self.put_setting, "lifecycle")),
            **{("GET", "bucket", at): (f"Get{name}", partial(self.get_setting, at)) for at, name in _SETTINGS.items()},
            **{("PUT", "bucket", at): (f"Put{name}", partial(self.put_setting, at)) for at, name in _SETTINGS.items()},
            ("PUT", "object", ""): ("PutObject", self.put_object),
            ("GET", "object", ""): ("GetObject", self.get_object),
            ("HEAD", "object", ""): ("HeadObject", self.head_object),
            ("DELETE", "object", ""): ("DeleteObject", self.delete_object),
            ("DELETE", "object", "versionId"): ("DeleteObject", self.delete_object),
            ("GET", "object", "tagging&versionId"): ("GetObjectTagging", self.get_object_tagging),
        }

    def resolve_operation(self, request: HttpRequest) -> tuple[str, Handler]:
        """Return a request's operation and the operation's handler.

        Raises:
            AwsError: The operation is not modelled.
        """
        bucket, _, key = request.path[1:].partition("/")
        kind = "object" if key else "bucket" if bucket else "service"
        names = "&".join([part.partition("=")[0] for part in request.query.split("&")]) if request.query else ""
        found = self._operations.get((request.method, kind, names))
        if found is None or "x-amz-copy-source" in request.headers:
            raise not_modelled_error(
                f"this S3 call: {request.method} of a {kind} with {names or 'nothing'} in its query"
            )
        return found

    def list_buckets(self, request: HttpRequest, _region: str) -> HttpResponse:
        """ListBuckets: return all buckets on one page, in order of creation."""
        prefix = dict(parse_qsl(request.query)).get("prefix", "")
        first = bisect_left(self._names, prefix)
        after = bisect_left(self._names, f"{prefix}\U0010ffff")
        found = sorted((self._buckets[name] for name in self._names[first:after]), key=lambda bucket: bucket.number)
        listed = [
            {"Name": bucket.name, "CreationDate": bucket.created, "BucketRegion": bucket.region} for bucket in found
        ]
        return _xml("ListAllMyBucketsResult", render_xml({"Buckets": ("Bucket", listed), "Owner": _OWNER}))

    def create_bucket(self, request: HttpRequest, region: str) -> HttpResponse:
        """CreateBucket: create a bucket and set its tags."""
        name = request.path[1:]
        if name in self._buckets:
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise AwsError("BucketAlreadyOwnedByYou", message, 409, {"BucketName": name})
        tags = b"".join(_TAG.findall(request.body))
        settings = {"tagging": b"<Tagging><TagSet>" + tags + b"</TagSet></Tagging>"} if tags else {}
        self._made += 1
        self._buckets[name] = Bucket(name, region, self._made, settings)
        insort(self._names, name)
        return _empty({"location": f"/{name}"})

    def head_bucket(self, request: HttpRequest, _region: str) -> HttpResponse:
        """HeadBucket."""
        return _empty({"x-amz-bucket-region": self._bucket(request).region, "content-type": "application/xml"})

    def delete_bucket(self, request: HttpRequest, _region: str) -> HttpResponse:
        """DeleteBucket: delete an empty bucket."""
        bucket = self._bucket(request)
        if bucket.objects:
            message = "The bucket you tried to delete is not empty"
            raise AwsError("BucketNotEmpty", message, 409, {"BucketName": bucket.name})
        del self._buckets[bucket.name]
        del self._names[bisect_left(self._names, bucket.name)]
        return _empty({}, 204)

    def get_setting(self, name: str, request: HttpRequest, _region: str) -> HttpResponse:
        """Return a setting of a bucket exactly as it was written."""
        bucket = self._bucket(request)
        found = bucket.settings.get(name) or _DEFAULTS.get(name)
        if found is None:
            raise AwsError(*_ABSENT[name], 404, {"BucketName": bucket.name})
        return HttpResponse(200, {"content-type": "application/xml", "x-amz-request-id": new_request_id()}, found)

    def put_setting(self, name: str, request: HttpRequest, _region: str) -> HttpResponse:
        """Write a setting of a bucket."""
        bucket = self._bucket(request)
        bucket.settings[name] = body = request.body
        if name == "versioning":
            bucket.versioned = b"<Status>Enabled</Status>" in body
        if name == "encryption":
            algorithm, key = _ALGORITHM.search(body), _KEY.search(body)
            if algorithm is None:
                raise not_modelled_error("an encryption without SSEAlgorithm")
            bucket.default_encryption = {_SSE: algorithm[1].decode()}
            if key:
                bucket.default_encryption[_SSE_KEY] = key[1].decode()
                on = b"<BucketKeyEnabled>true<" in body
                bucket.default_encryption[f"{_SSE}-bucket-key-enabled"] = str(on).lower()
        return _empty({})

    def list_objects(self, request: HttpRequest, _region: str) -> HttpResponse:
        """ListObjectsV2: return the objects with a prefix on one page, without their owners."""
        bucket, asked = self._bucket(request), dict(parse_qsl(request.query))
        prefix, after = asked["prefix"], asked["start-after"]
        first = max(bisect_left(bucket.keys, prefix), bisect_right(bucket.keys, after))
        keys = bucket.keys[first : bisect_left(bucket.keys, f"{prefix}\U0010ffff")]
        listed = "".join(
            render_xml(
                {
                    "Contents": {
                        "Key": quote(key),
                        "LastModified": (newest := bucket.objects[key][-1]).at,
                        "ETag": newest.etag,
                        "ChecksumAlgorithm": "CRC32" if _CHECKSUM in newest.checksums else None,
                        "Size": len(newest.body),
                        "StorageClass": "STANDARD",
                    }
                }
            )
            for key in keys
        )
        about = {"Name": bucket.name, "Prefix": quote(prefix), "StartAfter": quote(after), "KeyCount": len(keys)}
        about |= {"MaxKeys": 1000, "EncodingType": "url", "IsTruncated": "false"}
        return _xml("ListBucketResult", f"{render_xml(about)}{listed}")

    def list_object_versions(self, request: HttpRequest, _region: str) -> HttpResponse:
        """ListObjectVersions: return all versions on one page."""
        bucket = self._bucket(request)
        listed = [
            {
                "ETag": version.etag,
                "Size": len(version.body),
                "StorageClass": "STANDARD",
                "Key": key,
                "VersionId": version.version_id or "null",
                "IsLatest": str(version is versions[-1]).lower(),
                "LastModified": version.at,
                "Owner": _OBJECT_OWNER,
            }
            for key, versions in sorted(bucket.objects.items())
            for version in reversed(versions)
        ]
        about = {"IsTruncated": "false", "KeyMarker": "", "VersionIdMarker": "", "Name": bucket.name}
        found = "".join(render_xml({"Version": one}) for one in listed)
        return _xml("ListVersionsResult", f"{render_xml(about)}{found}{render_xml({'Prefix': '', 'MaxKeys': 1000})}")

    def put_object(self, request: HttpRequest, _region: str) -> HttpResponse:
        """PutObject: write an object, unless the object exists and the request has an If-None-Match header.

        If the request has no encryption headers, the bucket's default encryption applies.
        """
        bucket, key, headers = self._bucket(request), _key(request), request.headers
        if "if-none-match" in headers and key in bucket.objects:
            message = "At least one of the pre-conditions you specified did not hold"
            raise AwsError("PreconditionFailed", message, 412, {"Condition": "If-None-Match"})
        now = time.time()
        encryption = {name: value for name, value in headers.items() if name.startswith(_SSE)}
        self._require_usable(encryption or bucket.default_encryption)
        checksums = {name: value for name, value in headers.items() if name.startswith("x-amz-checksum-")}
        etag = _etag(request.body)
        written = {"etag": etag, "last-modified": formatdate(now, usegmt=True)}
        written |= encryption or bucket.default_encryption
        version_id = str(uuid.uuid4()) if bucket.versioned else None
        if version_id:
            written["x-amz-version-id"] = version_id
        described = {"content-type": headers.get("content-type", "binary/octet-stream"), "accept-ranges": "bytes"}
        described |= {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
        pairs = parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
        if pairs:
            described["x-amz-tagging-count"] = str(len(pairs))
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        tags = render_xml({"TagSet": ("Tag", [{"Key": name, "Value": value} for name, value in pairs])})
        version = ObjectVersion(version_id, at, request.body, etag, written, described, checksums, tags)
        earlier = bucket.objects.get(key, []) if bucket.versioned else []
        bucket.add_object(key, [*earlier, version])
        return _empty(written | checksums)

    def get_object(self, request: HttpRequest, _region: str) -> HttpResponse:
        """GetObject."""
        found = self._newest(request)
        self._require_usable(found.written)
        return HttpResponse(200, _reading(found, request) | {"date": formatdate(usegmt=True)}, found.body)

    def head_object(self, request: HttpRequest, _region: str) -> HttpResponse:
        """HeadObject."""
        found = self._newest(request)
        return HttpResponse(200, _reading(found, request) | {"content-length": str(len(found.body))})

    def delete_object(self, request: HttpRequest, _region: str) -> HttpResponse:
        """DeleteObject: delete a version by id, or delete the object if the bucket has no versioning."""
        bucket, key = self._bucket(request), _key(request)
        if not request.query:
            if bucket.versioned:
                raise not_modelled_error("delete markers")
            bucket.remove_object(key)
            return _empty({}, 204)
        version_id = request.query.partition("=")[2]
        left = [one for one in bucket.remove_object(key) if (one.version_id or "null") != version_id]
        if left:
            bucket.add_object(key, left)
        return _empty({"x-amz-version-id": version_id}, 204)

    def get_object_tagging(self, request: HttpRequest, _region: str) -> HttpResponse:
        """GetObjectTagging of a version."""
        version_id = request.query.rpartition("=")[2]
        for version in self._bucket(request).objects.get(_key(request), []):
            if (version.version_id or "null") == version_id:
                return _xml("Tagging", version.tags, {"x-amz-version-id": version_id})
        raise AwsError("NoSuchVersion", "The specified version does not exist.", 404, {"Key": _key(request)})

    def copy_environment(self, copies: Sequence[CopyTexts]) -> None:
        """Copy an environment's own buckets, and its objects in buckets that all environments share."""
        buckets = [bucket for bucket in self._buckets.values() if copies[0].changes(bucket.name)]
        shared = [
            (bucket, key, bucket.objects[key])
            for bucket in self._buckets.values()
            if not copies[0].changes(bucket.name)
            for key in bucket.keys
            if copies[0].changes(key)
        ]
        for texts in copies:
            for bucket in buckets:
                self._copy_bucket(bucket, texts)
            for bucket, key, versions in shared:
                bucket.add_object(texts.replace(key), [_copy_version(version, texts) for version in versions])

    def _copy_bucket(self, bucket: Bucket, texts: CopyTexts) -> None:
        self._made += 1
        copied = replace(
            bucket,
            name=texts.replace(bucket.name),
            number=self._made,
            settings={name: texts.replace(setting) for name, setting in bucket.settings.items()},
            objects={key: [_copy_version(one, texts) for one in found] for key, found in bucket.objects.items()},
            keys=[*bucket.keys],
            default_encryption=texts.replace(bucket.default_encryption),
        )
        self._buckets[copied.name] = copied
        insort(self._names, copied.name)

    def _require_usable(self, encryption: Mapping[str, str]) -> None:
        key = encryption.get(_SSE_KEY)
        if key in self.disabled_keys:
            raise AwsError("KMS.DisabledException", f"{key} is disabled.", 400)

    def _bucket(self, request: HttpRequest) -> Bucket:
        name = request.path[1:].partition("/")[0]
        bucket = self._buckets.get(name)
        if bucket is None:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404, {"BucketName": name})
        return bucket

    def _newest(self, request: HttpRequest) -> ObjectVersion:
        versions, key = self._bucket(request).objects, _key(request)
        if key not in versions:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key})
        return versions[key][-1]


def _copy_version(version: ObjectVersion, texts: CopyTexts) -> ObjectVersion:
    body = texts.replace(version.body)
    etag = _etag(body)
    checksums = version.checksums
    if _CHECKSUM in checksums:
        checksums = checksums | {_CHECKSUM: base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()}
    written = texts.replace(version.written) | {"etag": etag}
    return replace(version, body=body, etag=etag, written=written, checksums=checksums)


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _key(request: HttpRequest) -> str:
    key = request.path[1:].partition("/")[2]
    return unquote(key) if "%" in key else key


def _reading(found: ObjectVersion, request: HttpRequest) -> dict[str, str]:
    headers = found.written | found.described | {"x-amz-request-id": new_request_id()}
    return headers | found.checksums if "x-amz-checksum-mode" in request.headers else headers


def _empty(headers: dict[str, str], status: int = 200) -> HttpResponse:
    return HttpResponse(status, {**headers, "x-amz-request-id": new_request_id()})


def _xml(name: str, content: str, headers: dict[str, str] | None = None) -> HttpResponse:
    about = {"content-type": "application/xml", "x-amz-request-id": new_request_id(), **(headers or {})}
    return HttpResponse(200, about, f"<{name}>{content}</{name}>".encode())
