"""Checks the token that a customer sends to prove that they have credentials for an AWS account (contract 146).

`aws eks get-token --cluster-name NONCE` prints such a token: `k8s-aws-v1.`, followed by the base64url encoding of a
pre-signed `sts:GetCallerIdentity` request. The header `x-k8s-aws-id`, whose value is the nonce, is part of the
signature (AWS CLI, `customizations/eks/get_token.py`). The request is a valid credential for 15 minutes, so error
messages never contain any part of it.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from byok.domain.arns import partition_of_region
from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.regions import REGIONS

NONCE_HEADER: Final = "x-k8s-aws-id"

MAX_TOKEN_LENGTH: Final = 8192
"""The maximum length of a token, which is twice the length that EKS's own verifier accepts (aws-iam-authenticator,
`maxTokenLenBytes`)."""

MAX_CLOCK_DIFFERENCE: Final = timedelta(minutes=10)
"""The maximum difference between the time of the signature and byok's clock: the five minutes for which a nonce is
valid, plus five minutes for clock skew. STS itself accepts the request for 15 minutes, regardless of the value of
`X-Amz-Expires` (aws-iam-authenticator, `presignedURLExpiration`)."""

_MAX_EXPIRES_SECONDS: Final = 900
"""The maximum `X-Amz-Expires` that EKS's own verifier accepts. The AWS CLI sets `X-Amz-Expires` to 60
(`URL_TIMEOUT`)."""

_TOKEN: Final = re.compile(r"k8s-aws-v1\.([A-Za-z0-9_-]+)")

_STS_SUFFIX_BY_PARTITION: Final = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-us-gov": "amazonaws.com",
}
"""The suffixes are copied from botocore (`partitions.json`), because importing botocore would make every command slow
(see `byok.domain.regions`)."""

_GLOBAL_ENDPOINT: Final = "https://sts.amazonaws.com"
"""The endpoint that the AWS CLI uses if the user has set `sts_regional_endpoints = legacy` (botocore, `sts` endpoint
rules)."""

_REQUIRED: Final = {
    "Action": "GetCallerIdentity",
    "Version": "2011-06-15",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": r"[A-Z0-9]{16,128}/[0-9]{8}/[a-z0-9-]+/sts/aws4_request",
    "X-Amz-Date": r"[0-9]{8}T[0-9]{6}Z",
    "X-Amz-Expires": r"[1-9][0-9]{0,2}",
    "X-Amz-SignedHeaders": f"host;{NONCE_HEADER}",
    "X-Amz-Signature": r"[0-9a-f]{64}",
}
"""The request's required query parameters, each with a pattern for its value."""

_OPTIONAL: Final = {"X-Amz-Security-Token": r"[\x21-\x7e]+"}
"""The request's optional query parameter, with a pattern for its value. Only requests that are signed with temporary
credentials have a session token (AWS General Reference, "Signature Version 4 query parameters")."""


class InvalidProofTokenError(ValueError):
    """Raised for an invalid token, which byok does not send to STS.

    The error message explains how to fix the problem and never contains any part of the token.
    """


@dataclass(frozen=True)
class SignedIdentityRequest:
    """A pre-signed GetCallerIdentity request to an STS endpoint that byok accepts.

    Attributes:
        url: The URL, built from the checked parts of the token. The URL is a credential: never log or store it.
    """

    url: str = field(repr=False)


def build_proof_command(nonce: str, region: str) -> str:
    """Return the command that a customer runs to prove that they have credentials for their account."""
    return (
        f"aws eks get-token --profile {DEFAULT_PROFILE} --region {region} --cluster-name {nonce} "
        "--query status.token --output text"
    )


def list_sts_endpoints(partition: str) -> frozenset[str]:
    """Return the STS endpoints that byok accepts in a partition.

    The endpoints of other partitions are refused, because the same account id in another partition may belong to a
    different customer.
    """
    suffix = _STS_SUFFIX_BY_PARTITION[partition]
    regional = {f"https://sts.{region}.{suffix}" for region in REGIONS if partition_of_region(region) == partition}
    return frozenset(regional | ({_GLOBAL_ENDPOINT} if partition == "aws" else set()))


def parse_proof_token(token: str, endpoints: frozenset[str], now: datetime) -> SignedIdentityRequest:
    """Check a token, and return the request to send to STS.

    STS, not this function, verifies the signature.

    Args:
        token: The token that the customer sent.
        endpoints: The accepted endpoints, each as `scheme://host`; the endpoint of the local AWS emulator also has a
            port.
        now: The current time.

    Raises:
        InvalidProofTokenError: The token is not a recent GetCallerIdentity request to one of the endpoints.
    """
    url = _decode(token.strip())
    endpoint, separator, query = url.partition("/?")
    # This comparison covers everything before the query string, so it also rejects URLs with another scheme, port or
    # path, or with user information.
    if not separator or endpoint not in endpoints:
        raise InvalidProofTokenError(
            "the signed request is not addressed to AWS STS in the platform's partition. Run the command exactly as "
            "byok returned it, without settings for other endpoints (FIPS, dual-stack, VPC)."
        )
    parameters = _parse_query(query)
    signed_at = _parse_date(parameters["X-Amz-Date"])
    if signed_at is None or abs(now - signed_at) > MAX_CLOCK_DIFFERENCE:
        raise InvalidProofTokenError(
            "the request was not signed within the last ten minutes. Check your computer's clock, and run the command "
            "again."
        )
    return SignedIdentityRequest(f"{endpoint}/?{urlencode(parameters, quote_via=quote, safe='')}")


def _decode(token: str) -> str:
    found = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    try:
        return base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode("ascii") if found else _refuse()
    except (binascii.Error, UnicodeDecodeError):
        return _refuse()


def _refuse() -> str:
    # `from None` suppresses the decoding error, whose text would contain parts of the token.
    raise InvalidProofTokenError(
        "must be the token that the command printed: one line that begins with k8s-aws-v1."
    ) from None


def _parse_query(query: str) -> dict[str, str]:
    """Return the parameters of a query string.

    Raises:
        InvalidProofTokenError: A parameter is missing, repeated or unknown, or has an unexpected value.
    """
    known = _REQUIRED | _OPTIONAL
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=len(known)
        )
    except ValueError:
        pairs = []
    found = dict(pairs)
    if (
        len(found) != len(pairs)
        or not _REQUIRED.keys() <= found.keys() <= known.keys()
        or not all(re.fullmatch(known[name], value) for name, value in pairs)
        or int(found["X-Amz-Expires"]) > _MAX_EXPIRES_SECONDS
    ):
        raise InvalidProofTokenError(
            "the signed request is not the GetCallerIdentity request that the command signs. Run the command exactly "
            "as byok returned it."
        )
    return found


def _parse_date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
