"""Sends a customer's pre-signed request to STS, and returns the AWS account that STS reports.

The pre-signed request is a credential. `urllib` does not log requests. No error in this module contains the URL or
STS's message, because STS repeats the request in its message about a wrong signature.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPException
from typing import Annotated, Final
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from pydantic import AliasPath, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from byok.api.problems import ProblemError
from byok.domain.account_proofs import NONCE_HEADER, SignedIdentityRequest
from byok.domain.models.base import AccountId

PROOF_REFUSED_CODE: Final = "byok.ProofRefused"
STS_UNAVAILABLE_CODE: Final = "byok.StsUnavailable"

_TIMEOUT_SECONDS: Final = 5.0
_MAX_RESPONSE_BYTES: Final = 16_384

_THREADS: Final = ThreadPoolExecutor(4, "sts")
"""A separate thread pool, so that an unreachable STS does not delay other work, such as loading the OIDC issuer's
keys."""


class _Identity(BaseModel):
    """The JSON response of STS (aws-iam-authenticator, `getCallerIdentityWrapper`)."""

    model_config = ConfigDict(hide_input_in_errors=True)

    account: AccountId = Field(
        validation_alias=AliasPath("GetCallerIdentityResponse", "GetCallerIdentityResult", "Account")
    )


class _Refusal(BaseModel):
    """The JSON error of STS (recorded in aws/aws-sdk-java#2413)."""

    model_config = ConfigDict(hide_input_in_errors=True)

    code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z.]{1,64}$")] = Field(
        validation_alias=AliasPath("Error", "Code")
    )


async def fetch_account(request: SignedIdentityRequest, nonce: str) -> str:
    """Return the id of the AWS account whose credentials signed a request.

    Args:
        request: The pre-signed request to STS.
        nonce: The value of the nonce header. STS refuses the request if the customer signed a different value.

    Raises:
        ProblemError: STS refused the request, cannot be reached, or sent an unexpected response.
    """
    status, body = await asyncio.get_running_loop().run_in_executor(_THREADS, _send, request, nonce)
    try:
        if status == HTTPStatus.OK:
            return _Identity.model_validate_json(body).account
    except ValidationError:
        raise _unavailable_error("sent an unexpected response") from None
    if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _unavailable_error(f"responded with status {status}")
    raise ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        PROOF_REFUSED_CODE,
        f"AWS STS refused the signed request{_read_code(body)}. Check that the AWS CLI profile has valid credentials, "
        "and run the command again, exactly as byok returned it for this nonce. Nothing was registered.",
        fault=("token", "AWS STS refused the signed request"),
    )


def _send(request: SignedIdentityRequest, nonce: str) -> tuple[int, bytes]:
    """Send the request, and return the status and the beginning of the body."""
    opener = OpenerDirector()
    # Without the handlers that urllib adds by default, the opener follows no redirect and supports only http and https.
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    signed = Request(request.url, headers={NONCE_HEADER: nonce, "Accept": "application/json"})  # noqa: S310 - checked
    try:
        with opener.open(signed, timeout=_TIMEOUT_SECONDS) as response:
            return response.status, response.read(_MAX_RESPONSE_BYTES)
    except (OSError, HTTPException):
        raise _unavailable_error("cannot be reached") from None


def _read_code(body: bytes) -> str:
    try:
        return f" ({_Refusal.model_validate_json(body).code})"
    except ValidationError:
        return ""


def _unavailable_error(what: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_GATEWAY,
        STS_UNAVAILABLE_CODE,
        f"AWS STS {what}, so nothing was registered. Send the same nonce and token again while the nonce is valid; "
        "otherwise, request a new challenge.",
    )
