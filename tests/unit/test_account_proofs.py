"""byok sends a token to STS only if it is a recent GetCallerIdentity request addressed to STS (contract 146)."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest

from byok.domain.account_proofs import (
    MAX_CLOCK_DIFFERENCE,
    MAX_TOKEN_LENGTH,
    InvalidProofTokenError,
    list_sts_endpoints,
    parse_proof_token,
)
from byok.domain.arns import partition_of_region
from byok.domain.regions import REGIONS
from tests.signed_requests import ACTION, build_token, presign_identity_request

STS = "https://sts.eu-central-1.amazonaws.com"
NONCE = "acme.1.random.signature"
SESSION = ("ASIAEXAMPLE000000000", "secret", "token+/=" * 100)


def parse(token: str, partition: str = "aws") -> str:
    return parse_proof_token(token, list_sts_endpoints(partition), datetime.now(UTC)).url


def parse_query(url: str) -> set[str]:
    return set(urlsplit(url).query.split("&"))


@pytest.fixture(scope="module")
def url() -> str:
    return presign_identity_request(STS, NONCE, SESSION)


@pytest.mark.parametrize("endpoint", [STS, "https://sts.us-west-2.amazonaws.com", "https://sts.amazonaws.com"])
@pytest.mark.parametrize("credentials", [SESSION, ("AKIAEXAMPLE000000000", "secret")])
def test_request_that_the_aws_cli_signs_is_accepted_unchanged(endpoint: str, credentials: tuple[str, ...]) -> None:
    signed = presign_identity_request(endpoint, NONCE, credentials)

    accepted = parse(build_token(signed))

    assert urlsplit(accepted)[:3] == urlsplit(signed)[:3]
    assert parse_query(accepted) == parse_query(signed)


def test_endpoints_are_those_of_botocore() -> None:
    session = botocore.session.get_session()
    expected: dict[str, set[str]] = {}
    for region in REGIONS:
        client = session.create_client(
            "sts", region_name=region, aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="secret"
        )
        expected.setdefault(partition_of_region(region), set()).add(client.meta.endpoint_url)
    expected["aws"].add("https://sts.amazonaws.com")

    assert {partition: list_sts_endpoints(partition) for partition in expected} == expected


def replace(old: str, new: str) -> Callable[[str], str]:
    def change(url: str) -> str:
        assert old in url
        return url.replace(old, new, 1)

    return change


FORBIDDEN_URLS: dict[str, Callable[[str], str]] = {
    "http": replace("https:", "http:"),
    "another scheme": replace("https:", "file:"),
    "upper-case scheme": replace("https:", "HTTPS:"),
    "no scheme": replace("https:", ""),
    "another host": replace("sts.eu-central-1.amazonaws.com", "sts.example.com"),
    "host that begins like STS": replace(".amazonaws.com", ".amazonaws.com.example.com"),
    "host that ends like STS": replace("//sts.", "//example-sts."),
    "unknown Region": replace("//sts.eu-central-1", "//sts.eu-central-9"),
    "another service": replace("//sts.", "//iam."),
    "STS of another partition": replace("amazonaws.com/", "amazonaws.com.cn/"),
    "upper-case host": replace("//sts.", "//STS."),
    "host with a final dot": replace("amazonaws.com/", "amazonaws.com./"),
    "FIPS": replace("//sts.eu-central-1", "//sts-fips.us-east-1"),
    "address": replace("sts.eu-central-1.amazonaws.com", "169.254.169.254"),
    "user information": replace("//", "//user:secret@"),
    "host as user information": replace("amazonaws.com/", "amazonaws.com@example.com/"),
    "port": replace("amazonaws.com/", "amazonaws.com:443/"),
    "empty port": replace("amazonaws.com/", "amazonaws.com:/"),
    "path": replace("/?", "/latest?"),
    "path with dots": replace("/?", "/../?"),
    "two slashes": replace("/?", "//?"),
    "no slash": replace("/?", "?"),
    "backslash": replace("amazonaws.com/", "amazonaws.com\\@example.com/"),
    "line break in the host": replace("amazonaws.com/", "amazonaws.com\r\nHost: example.com/"),
    "fragment": lambda url: f"{url}#fragment",
    "empty fragment": lambda url: f"{url}#",
    "line break at the end": lambda url: f"{url}\n",
    "space": replace("&Version", " &Version"),
    "non-ASCII letter": replace("eu-central", "eu-centrał"),
    "another action": replace("GetCallerIdentity", "GetSessionToken"),
    "another version": replace("2011-06-15", "2011-06-16"),
    "no action": replace("Action=GetCallerIdentity&", ""),
    "no signature": lambda url: url.partition("&X-Amz-Signature")[0],
    "empty signature": lambda url: url.partition("&X-Amz-Signature")[0] + "&X-Amz-Signature=",
    "empty session token": lambda url: re.sub("X-Amz-Security-Token=[^&]+", "X-Amz-Security-Token=", url),
    "repeated expiry and no session token": lambda url: re.sub("X-Amz-Security-Token=[^&]+", "X-Amz-Expires=60", url),
    "repeated action": lambda url: f"{url}&Action=GetCallerIdentity",
    "repeated action in upper case": lambda url: f"{url}&ACTION=GetSessionToken",
    "unknown parameter": lambda url: f"{url}&RoleArn=role",
    "unknown parameter without a value": lambda url: f"{url}&RoleArn",
    "semicolon": lambda url: f"{url};RoleArn=role",
    "ten thousand parameters": lambda url: url.partition("?")[0] + "?" + "&a=b" * 2_000,
    "another algorithm": replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    "credential of another service": replace("%2Fsts%2F", "%2Fiam%2F"),
    "line break in the credential": replace("%2Fsts%2F", "%0A%2Fsts%2F"),
    "host is not signed": replace("host%3B", ""),
    "nonce is not signed": replace("%3Bx-k8s-aws-id", ""),
    "another header is signed": replace("%3Bx-k8s-aws-id", "%3Bx-k8s-aws-id%3Bx-other"),
    "no expiry": replace("X-Amz-Expires=60", "X-Amz-Expires=0"),
    "long expiry": replace("X-Amz-Expires=60", "X-Amz-Expires=901"),
    "expiry is no number": replace("X-Amz-Expires=60", "X-Amz-Expires=6e1"),
    "no date": replace("X-Amz-Date=2", "X-Amz-Date=x"),
    "impossible date": replace("X-Amz-Date=2", "X-Amz-Date=0"),
}


@pytest.mark.parametrize("change", FORBIDDEN_URLS.values(), ids=FORBIDDEN_URLS.keys())
def test_every_other_url_is_refused_without_repeating_it(url: str, change: Callable[[str], str]) -> None:
    with pytest.raises(InvalidProofTokenError) as caught:  # contract 146
        parse(build_token(change(url)))

    assert not any(word in str(caught.value) for word in ("X-Amz", "example", "eu-central", SESSION[0]))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_platform_in_another_partition_refuses_the_request(url: str, partition: str) -> None:
    """Nothing guarantees that the same account id in two partitions belongs to one customer."""
    with pytest.raises(InvalidProofTokenError, match="platform's partition"):
        parse(build_token(url), partition)


@pytest.mark.parametrize("seconds", [1, -1])
def test_request_must_be_signed_close_to_now(url: str, seconds: int) -> None:
    signed_at = datetime.strptime(url.partition("X-Amz-Date=")[2][:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    endpoints, token = list_sts_endpoints("aws"), build_token(url)
    latest = seconds * MAX_CLOCK_DIFFERENCE

    parse_proof_token(token, endpoints, signed_at + latest)
    with pytest.raises(InvalidProofTokenError, match="within the last ten minutes"):
        parse_proof_token(token, endpoints, signed_at + latest + seconds * timedelta(seconds=1))


def as_exec_credential(token: str) -> str:
    return f'{{"kind": "ExecCredential", "status": {{"token": "{token}"}}}}'


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: token.removeprefix("k8s-aws-v1."),
        lambda token: token.replace("v1", "v2"),
        lambda token: f"{token}=",
        lambda token: f"{token}!",
        lambda token: f"{token} {token}",
        lambda token: "k8s-aws-v1.x",
        lambda token: "k8s-aws-v1." + base64.urlsafe_b64encode(b"\xff" * 30).decode(),
        lambda token: token + "A" * MAX_TOKEN_LENGTH,
        as_exec_credential,
    ],
)
def test_text_that_is_no_token_is_refused(url: str, change: Callable[[str], str]) -> None:
    with pytest.raises(InvalidProofTokenError, match="one line that begins with k8s-aws-v1"):
        parse(change(build_token(url)))


def test_spaces_around_the_token_are_ignored(url: str) -> None:
    assert parse(f"\n {build_token(url)}\n") == parse(build_token(url))


def test_url_is_hidden_when_the_request_is_printed(url: str) -> None:
    found: Any = parse_proof_token(build_token(url), list_sts_endpoints("aws"), datetime.now(UTC))

    assert "X-Amz" not in repr(found)
    assert ACTION in found.url
