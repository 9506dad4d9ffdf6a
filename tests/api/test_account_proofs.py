"""An organisation registers an AWS account by proving that it has credentials for the account (contract 146).

The local AWS emulator stands in for STS, and verifies the signature of the pre-signed request.
"""

import asyncio
import hashlib
import logging
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import pytest_asyncio

from byok.api.account_challenges import LIFETIME, ChallengeSigner
from byok.api.authentication import StaticTokenAuth
from byok.api_settings import AccessToken
from byok.contracts import account_proof_workflow_id
from byok.domain.scopes import Scope
from byok.web import find_local_aws
from localaws.accounts import OPERATOR_CREDENTIALS, write_aws_config
from localaws.state import CUSTOMER_ACCOUNT, PLATFORM_ACCOUNT
from tests.api.conftest import ApiClient, Serve
from tests.localaws.server import REGION, AwsHarness
from tests.signed_requests import build_token, presign_identity_request
from tests.unit.test_account_proofs import FORBIDDEN_URLS
from tests.workflows.temporal_env import WorkflowHarness

ACCESS = StaticTokenAuth(
    tuple(
        AccessToken(
            name=name, sha256=hashlib.sha256(name.encode()).hexdigest(), organisation=organisation, scopes=scopes
        )
        for name, organisation, scopes in (
            ("acme", "acme", (Scope.WRITE,)),
            ("globex", "globex", (Scope.WRITE,)),
            ("staff", "*", tuple(Scope)),
        )
    )
)
CHALLENGES, PROOFS = "/v1/account-proofs/challenges", "/v1/account-proofs"
SECRET = "a secret of tests"


@pytest_asyncio.fixture
async def acme(serve: Serve, aws: AwsHarness) -> ApiClient:
    made: ApiClient = await serve(ACCESS, token="acme", local_aws=aws.endpoint)
    return made


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts whose addresses this process has looked up since the test began."""
    found: list[str] = []
    real = socket.getaddrinfo

    def count(host: Any, *arguments: Any, **named: Any) -> Any:
        found.append(str(host))
        return real(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", count)
    return found


async def request_nonce(portal: ApiClient) -> str:
    answer = await portal.http.post(CHALLENGES)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["nonce"])


async def prove(portal: ApiClient, nonce: str, token: str) -> httpx.Response:
    return await portal.http.post(PROOFS, json={"nonce": nonce, "token": token})


async def test_customer_registers_an_account_with_the_command_that_byok_returns(
    acme: ApiClient, harness: WorkflowHarness, aws: AwsHarness, aws_cli: Path, tmp_path: Path
) -> None:
    challenge = (await acme.http.post(CHALLENGES)).json()
    config, credentials = write_aws_config(tmp_path, aws.endpoint, REGION)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", challenge["command"]),
        env={**clean, **settings, "PATH": f"{aws_cli.parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 120)

    answer = await prove(acme, challenge["nonce"], printed.decode())

    assert (answer.status_code, answer.json()) == (200, {"account": CUSTOMER_ACCOUNT, "organisation": "acme"})
    assert harness.activities.accounts == {CUSTOMER_ACCOUNT: "acme"}  # contract 146
    assert aws.list_calls("sts") == ["GetCallerIdentity"]
    assert challenge["nonce"].startswith("acme.")


async def test_sts_and_not_the_caller_names_the_account(
    acme: ApiClient, harness: WorkflowHarness, aws: AwsHarness
) -> None:
    nonce = await request_nonce(acme)

    answer = await prove(acme, nonce, build_token(presign_identity_request(aws.endpoint, nonce, OPERATOR_CREDENTIALS)))

    assert answer.json() == {"account": PLATFORM_ACCOUNT, "organisation": "acme"}
    assert harness.activities.accounts == {PLATFORM_ACCOUNT: "acme"}


async def test_nonce_registers_one_account_in_whichever_process(
    serve: Serve, acme: ApiClient, harness: WorkflowHarness, aws: AwsHarness
) -> None:
    other_process: ApiClient = await serve(ACCESS, token="acme", local_aws=aws.endpoint)
    nonce = await request_nonce(acme)
    tokens = [
        build_token(presign_identity_request(aws.endpoint, nonce, *some)) for some in ((), (OPERATOR_CREDENTIALS,))
    ]

    answers = await asyncio.gather(prove(acme, nonce, tokens[0]), prove(other_process, nonce, tokens[1]))
    again = await prove(other_process, nonce, tokens[0])

    assert sorted(one.status_code for one in answers) == [200, 409]
    refused = next(one for one in answers if one.status_code == 409)
    assert (again.status_code, again.json()["code"]) == (409, "byok.AccountProofUsed")
    assert {**again.json(), "request_id": None} == {**refused.json(), "request_id": None}
    assert len(harness.activities.accounts) == 1  # contract 146


async def test_refused_proof_does_not_use_up_the_nonce(
    acme: ApiClient, harness: WorkflowHarness, aws: AwsHarness
) -> None:
    nonce, other = await request_nonce(acme), await request_nonce(acme)

    refused = await prove(acme, nonce, build_token(presign_identity_request(aws.endpoint, other)))
    assert (refused.status_code, refused.json()["code"]) == (422, "byok.ProofRefused")
    assert "(SignatureDoesNotMatch)" in refused.json()["detail"]
    assert harness.activities.accounts == {}  # contract 146

    accepted = await prove(acme, nonce, build_token(presign_identity_request(aws.endpoint, nonce)))
    assert accepted.status_code == 200


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (("AKIANOBODY0000000000", "secret"), "InvalidClientTokenId"),
        (("AKIACUSTOMER00000000", "guessed"), "SignatureDoesNotMatch"),
    ],
)
async def test_invalid_credentials_prove_nothing(
    acme: ApiClient, harness: WorkflowHarness, aws: AwsHarness, credentials: tuple[str, str], code: str
) -> None:
    nonce = await request_nonce(acme)

    answer = await prove(acme, nonce, build_token(presign_identity_request(aws.endpoint, nonce, credentials)))

    assert (answer.status_code, answer.json()["code"]) == (422, "byok.ProofRefused")
    assert f"({code})" in answer.json()["detail"]
    assert harness.activities.accounts == {}


def expired_nonce() -> str:
    return ChallengeSigner(SECRET, lambda: time.time() - LIFETIME.total_seconds() - 2).issue("acme").nonce


NONCES = {
    "of another organisation": (lambda: ChallengeSigner(SECRET).issue("globex").nonce, "is not a nonce"),
    "of another server": (lambda: ChallengeSigner("another secret").issue("acme").nonce, "is not a nonce"),
    "of another organisation, renamed": (
        lambda: ChallengeSigner(SECRET).issue("globex").nonce.replace("globex", "acme"),
        "is not a nonce",
    ),
    "no nonce": (lambda: "acme", "is not a nonce"),
    "non-ASCII": (lambda: "acmé.1.x.y", "is not a nonce"),
    "expired": (expired_nonce, "has expired"),
}


@pytest.mark.parametrize(("build", "reason"), NONCES.values(), ids=NONCES.keys())
async def test_only_a_recent_nonce_of_the_organisation_is_accepted(
    acme: ApiClient, aws: AwsHarness, lookups: list[str], build: Any, reason: str
) -> None:
    nonce = build()

    signed = nonce if nonce.isascii() else "acme"
    answer = await prove(acme, nonce, build_token(presign_identity_request(aws.endpoint, signed)))

    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["nonce"])  # contract 146
    assert reason in answer.json()["detail"]
    assert answer.json()["detail"].endswith("Request a new challenge.")
    assert nonce not in answer.text
    assert lookups == []


NEAR_NONCES = {
    "space at the end": lambda nonce: f"{nonce} ",
    "space at the beginning": lambda nonce: f" {nonce}",
    "line break": lambda nonce: f"{nonce}\n",
    "padding": lambda nonce: f"{nonce}=",
    "other unused bits": lambda nonce: nonce[:-1] + chr(ord(nonce[-1]) + 1),
}
"""Strings that AWS's parsing rules or a base64 decoder would treat as equal to the nonce."""


@pytest.mark.parametrize("change", NEAR_NONCES.values(), ids=NEAR_NONCES.keys())
async def test_no_other_text_counts_as_the_nonce(
    acme: ApiClient, aws: AwsHarness, lookups: list[str], change: Any
) -> None:
    nonce = await request_nonce(acme)
    token = build_token(presign_identity_request(aws.endpoint, nonce))

    answer = await prove(acme, change(nonce), token)

    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["nonce"])  # contract 146
    assert lookups == []


async def test_nonce_is_valid_for_five_minutes(acme: ApiClient) -> None:
    before = time.time()
    signer = ChallengeSigner(SECRET, lambda: before)
    challenge = signer.issue("acme")

    ChallengeSigner(SECRET, lambda: before + LIFETIME.total_seconds() - 1).verify(challenge.nonce, "acme")
    assert challenge.expires_at.timestamp() == int(before + 300)


@pytest.mark.parametrize("on_aws", [True, False], ids=["AWS", "local AWS"])
async def test_forbidden_urls_are_refused_without_a_connection(
    serve: Serve, aws: AwsHarness, lookups: list[str], on_aws: bool
) -> None:
    """If byok uses the local AWS emulator, even the URL of the real STS is forbidden."""
    portal: ApiClient = await serve(ACCESS, token="acme", local_aws=None if on_aws else aws.endpoint)
    url = presign_identity_request("https://sts.eu-central-1.amazonaws.com", "x", ("ASIAEXAMPLE000000000", "s", "t"))
    forms = [change(url) for change in FORBIDDEN_URLS.values()] + ([] if on_aws else [url])
    nonce = await request_nonce(portal)

    for form in forms:
        answer = await prove(portal, nonce, build_token(form))
        assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["token"]), form
    assert lookups == []  # contract 146


LOCAL_FORMS = {
    "user information": ("http://", "http://user@"),
    "path": ("/?", "/_localaws/reset?"),
    "fragment": ("X-Amz-Signature", "#X-Amz-Signature"),
    "another name of this machine": ("127.0.0.1", "localhost"),
    "https": ("http://", "https://"),
}


@pytest.mark.parametrize(("old", "new"), LOCAL_FORMS.values(), ids=LOCAL_FORMS.keys())
async def test_local_aws_is_accepted_only_at_its_exact_endpoint(
    acme: ApiClient, aws: AwsHarness, lookups: list[str], old: str, new: str
) -> None:
    nonce = await request_nonce(acme)
    url = presign_identity_request(aws.endpoint, nonce)

    refused = await prove(acme, nonce, build_token(url.replace(old, new)))
    assert (refused.status_code, lookups) == (422, [])
    assert (await prove(acme, nonce, build_token(url))).status_code == 200
    assert lookups == ["127.0.0.1"]  # the counter counts


async def test_account_of_another_organisation_is_refused_without_its_name(
    acme: ApiClient, harness: WorkflowHarness, aws: AwsHarness
) -> None:
    harness.activities.accounts = {CUSTOMER_ACCOUNT: "globex"}
    nonce = await request_nonce(acme)

    answer = await prove(acme, nonce, build_token(presign_identity_request(aws.endpoint, nonce)))

    assert (answer.status_code, answer.json()["code"]) == (409, "byok.AccountOfAnotherOrganisation")
    assert f"AWS account {CUSTOMER_ACCOUNT} is registered for another organisation" in answer.json()["detail"]
    assert "globex" not in answer.text  # contract 146
    assert harness.activities.accounts == {CUSTOMER_ACCOUNT: "globex"}


async def test_staff_gets_the_route_that_needs_no_proof(serve: Serve) -> None:
    staff: ApiClient = await serve(ACCESS, token="staff")

    for answer in (await staff.http.post(CHALLENGES), await prove(staff, "nonce", "token")):
        assert (answer.status_code, answer.json()["code"]) == (403, "byok.Forbidden")
        assert "PUT /v1/organisations/" in answer.json()["detail"]


async def test_signed_request_reaches_neither_temporal_nor_a_log_nor_a_response(
    serve: Serve,
    acme: ApiClient,
    harness: WorkflowHarness,
    aws: AwsHarness,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nonce = await request_nonce(acme)
    url = presign_identity_request(aws.endpoint, nonce)
    unreachable: ApiClient = await serve(ACCESS, token="acme", local_aws="http://127.0.0.1:1")
    outside = presign_identity_request("http://127.0.0.1:1", nonce)
    tampered = re.sub("X-Amz-Signature=.{4}", "X-Amz-Signature=0000", url)
    caplog.set_level(logging.DEBUG)  # set after signing, because botocore logs the data that it signs

    answers = [
        await prove(unreachable, nonce, build_token(outside)),
        await prove(acme, nonce, build_token(tampered)),
        await prove(acme, nonce, build_token(f"{url}&more=1")),
        await prove(acme, nonce, build_token(url)),
        await acme.http.post(PROOFS, json={"nonce": nonce, "token": build_token(url) * 9}),
    ]

    assert [one.status_code for one in answers] == [502, 422, 422, 200, 422]
    handle = harness.client.get_workflow_handle(account_proof_workflow_id(nonce))
    stored = (await handle.fetch_history()).to_json() + str(await (await handle.describe()).memo())
    signature = url.partition("X-Amz-Signature=")[2]
    for text in (stored, caplog.text, *(one.text for one in answers)):
        assert not any(secret in text for secret in (signature, outside[-64:], tampered[-64:], "X-Amz"))
        assert build_token(url)[20:80] not in text
    assert nonce not in stored


@dataclass
class StandInSts:
    """A server that counts requests, and sends responses that the local STS never sends."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    endpoint: str = ""


@contextmanager
def run_stand_in() -> Iterator[StandInSts]:
    state = StandInSts()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.paths.append(self.path.partition("?")[0])
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.endpoint = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        server.shutdown()


@pytest_asyncio.fixture
async def sts() -> AsyncIterator[StandInSts]:
    with run_stand_in() as found:
        yield found


IDENTITY = b'{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Account": "%s"}}}'
UNUSABLE = {
    "redirect": (302, b"", "status 302"),
    "redirect that keeps the method": (307, b"", "status 307"),
    "server error": (503, b"busy", "status 503"),
    "empty": (200, b"", "unexpected response"),
    "XML": (200, b"<Account>444455556666</Account>", "unexpected response"),
    "no account": (200, b"{}", "unexpected response"),
    "account that is no id": (200, IDENTITY % b"4444/../5555", "unexpected response"),
    "too long": (200, b" " * 20_000 + IDENTITY % b"444455556666", "unexpected response"),
    "deeply nested": (200, b"[" * 16_000, "unexpected response"),
}


@pytest.mark.parametrize(("status", "body", "words"), UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_unusable_response_registers_nothing(
    serve: Serve, harness: WorkflowHarness, sts: StandInSts, status: int, body: bytes, words: str
) -> None:
    portal: ApiClient = await serve(ACCESS, token="acme", local_aws=sts.endpoint)
    sts.status, sts.body, sts.headers = status, body, {"Location": f"{sts.endpoint}/elsewhere"}
    nonce = await request_nonce(portal)

    answer = await prove(portal, nonce, build_token(presign_identity_request(sts.endpoint, nonce)))

    assert (answer.status_code, answer.json()["code"]) == (502, "byok.StsUnavailable")
    assert words in answer.json()["detail"]
    assert sts.paths == ["/"]
    assert harness.activities.accounts == {}


async def test_refusal_without_a_readable_code_is_still_a_refusal(serve: Serve, sts: StandInSts) -> None:
    portal: ApiClient = await serve(ACCESS, token="acme", local_aws=sts.endpoint)
    sts.status, sts.body = 403, b'{"Error": {"Code": "<script>", "Message": "the canonical request"}}'
    nonce = await request_nonce(portal)

    answer = await prove(portal, nonce, build_token(presign_identity_request(sts.endpoint, nonce)))

    assert (answer.status_code, answer.json()["code"]) == (422, "byok.ProofRefused")
    assert answer.json()["detail"].startswith("AWS STS refused the signed request. Check")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("http://127.0.0.1:4566/", "http://127.0.0.1:4566"),
        ("http://localhost:4566", "http://localhost:4566"),
        ("http://[::1]:4566", "http://[::1]:4566"),
        ("https://192.0.2.1", None),
        ("", None),
        ("127.0.0.1:4566", None),
    ],
)
def test_only_a_loopback_endpoint_counts_as_the_local_aws(value: str, found: str | None) -> None:
    assert find_local_aws({"AWS_ENDPOINT_URL": value}) == found
    assert find_local_aws({}) is None
