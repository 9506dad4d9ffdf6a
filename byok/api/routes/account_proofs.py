"""Routes through which an organisation registers an AWS account by proving that it has credentials for the account.

The token that a caller sends contains a pre-signed request, which is a credential. byok sends the request only to STS,
and gives a workflow only the account that STS returns (contract 146).
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, SecretStr

from byok.api.authorization import Service, WriteCaller
from byok.api.caller_identity import fetch_account
from byok.api.dependencies import State
from byok.api.problems import ProblemError, invalid_field_error, openapi_problem_responses
from byok.domain.account_proofs import (
    MAX_TOKEN_LENGTH,
    InvalidProofTokenError,
    build_proof_command,
    parse_proof_token,
)
from byok.domain.models import AccountRequest
from byok.domain.models.base import RequestModel

router = APIRouter(
    prefix="/account-proofs",
    tags=["accounts"],
    responses=openapi_problem_responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
)


class ChallengeResponse(BaseModel):
    """A nonce, and the command that signs the nonce with credentials for an AWS account.

    Attributes:
        nonce: The text to sign, which begins with the organisation's name.
        expires_at: The time until which byok accepts a token for this nonce.
        command: The command to run. The customer replaces the profile `byok` with a profile that has credentials for
            the account.
    """

    nonce: str
    expires_at: datetime
    command: str


class AccountProofRequest(RequestModel):
    """A nonce, and the token that the command printed for this nonce.

    The token is never stored, logged or repeated in an error.
    """

    nonce: str = Field(min_length=1, max_length=256)
    token: SecretStr = Field(min_length=1, max_length=MAX_TOKEN_LENGTH)


class ProvedAccountResponse(BaseModel):
    """The account that STS returned, and the organisation for which the account is now registered."""

    account: str
    organisation: str


async def _own_organisation(caller: WriteCaller) -> str:
    """Return the organisation of a caller.

    Raises:
        ProblemError: The caller is one of the vendor's staff, and has no organisation.
    """
    if caller.organisation is None:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "byok.Forbidden",
            "Only an organisation can prove that it has credentials for an AWS account. The vendor's staff register "
            "an account with PUT /v1/organisations/{organisation}/accounts/{account}.",
        )
    return caller.organisation


OwnOrganisation = Annotated[str, Depends(_own_organisation)]


@router.post("/challenges", status_code=HTTPStatus.CREATED)
async def create_challenge(organisation: OwnOrganisation, state: State) -> ChallengeResponse:
    """Return a nonce that is valid for five minutes, and the command that signs the nonce."""
    challenge = state.challenge_signer.issue(organisation)
    command = build_proof_command(challenge.nonce, state.regions[0])
    return ChallengeResponse(nonce=challenge.nonce, expires_at=challenge.expires_at, command=command)


@router.post(
    "",
    responses=openapi_problem_responses(HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY),
)
async def prove_account(
    organisation: OwnOrganisation, service: Service, state: State, request: AccountProofRequest
) -> ProvedAccountResponse:
    """Register, for the caller's organisation, the AWS account whose credentials signed the nonce.

    A nonce can be used to register at most one account. If the account is registered for another organisation, the
    response is 409 Conflict, and does not reveal which organisation.
    """
    state.challenge_signer.verify(request.nonce, organisation)
    try:
        signed = parse_proof_token(request.token.get_secret_value(), state.sts_endpoints, datetime.now(UTC))
    except InvalidProofTokenError as error:
        raise invalid_field_error("token", str(error)) from error
    account = await fetch_account(signed, request.nonce)
    await service.register_proved_account(AccountRequest(organisation=organisation, account=account), request.nonce)
    return ProvedAccountResponse(account=account, organisation=organisation)
