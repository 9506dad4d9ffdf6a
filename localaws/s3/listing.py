"""Paginates ListBuckets.

moto returns all buckets on one page, without a continuation token and without Regions.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode

from localaws.call import AwsError, Call, HttpResponse
from localaws.paging import InvalidMarkerError, split_page
from localaws.s3.buckets import find_bucket

_LIMIT: Final = "max-buckets"
_TOKEN: Final = "continuation-token"  # noqa: S105 - the name of a parameter
_PARAMS: Final = frozenset({_LIMIT, _TOKEN, "prefix", "bucket-region"})
_MOST: Final = 10_000
"""The maximum number of buckets on a page, and the default of `max-buckets` (S3 API reference, ListBuckets)."""

_BUCKETS: Final = re.compile(rb"<Bucket>.*?</Bucket>", re.DOTALL)
_NAME: Final = re.compile(rb"<Name>(.*?)</Name>")
_END: Final = b"</ListAllMyBucketsResult>"


def build_moto_query(call: Call) -> str:
    """Return the query string for moto. For ListBuckets, omit the paging parameters, so that moto lists all buckets."""
    query: str = call.environ.get("QUERY_STRING", "")
    if call.operation != "ListBuckets":
        return query
    return urlencode([(name, value) for name, value in parse_qsl(query) if name not in {_LIMIT, _TOKEN}])


def shorten_to_page(call: Call, answer: HttpResponse) -> None:
    """Reduce the list of all buckets to the page that a ListBuckets call requests, and add the buckets' Regions.

    S3 returns the Regions if the request has at least one parameter (S3 API reference, ListBuckets, BucketRegion).

    Raises:
        AwsError: `InvalidArgument`. We found no recording of AWS's error message for an invalid `max-buckets` or an
            invalid `continuation-token`.
    """
    query = dict(parse_qsl(call.environ.get("QUERY_STRING", "")))
    limit = query.get(_LIMIT, str(_MOST))
    if not re.fullmatch(r"[0-9]{1,5}", limit) or not 1 <= int(limit) <= _MOST:
        raise AwsError("InvalidArgument", f"Argument {_LIMIT} must be an integer between 1 and {_MOST}", 400)
    buckets = _BUCKETS.findall(answer.body)
    try:
        page, following = split_page(buckets, int(limit), query.get(_TOKEN))
    except InvalidMarkerError as error:
        raise AwsError("InvalidArgument", "The continuation token provided is incorrect", 400) from error
    if _PARAMS & query.keys():
        shown = [_with_region(bucket) for bucket in page]
    elif len(page) < len(buckets):
        shown = list(page)
    else:
        return
    answer.body = answer.body.replace(b"".join(buckets), b"".join(shown))
    if following:
        token = f"<ContinuationToken>{following}</ContinuationToken>".encode()
        answer.body = answer.body.replace(_END, token + _END)
    answer.headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]


def _with_region(bucket: bytes) -> bytes:
    """Return a bucket's entry in the list with the bucket's Region added."""
    name = _NAME.search(bucket)
    found = find_bucket(name[1].decode()) if name else None
    if found is None:
        return bucket
    region = f"<BucketRegion>{found.region_name}</BucketRegion>".encode()
    return bucket.replace(b"</Bucket>", region + b"</Bucket>")
