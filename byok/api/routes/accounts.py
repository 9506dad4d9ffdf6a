"""Routes for the AWS accounts in which each organisation may use keys (contract 146)."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from byok.api.authorization import AccountsCaller, ReadCaller, Service
from byok.api.problems import openapi_problem_responses
from byok.domain.models import AccountPage, AccountRequest, ListAccountsRequest
from byok.domain.models.base import AccountId, OrganisationName

router = APIRouter(
    tags=["accounts"],
    responses=openapi_problem_responses(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY
    ),
)
_ACCOUNT = "/organisations/{organisation}/accounts/{account}"


async def _account(
    organisation: Annotated[OrganisationName, Path(description="The organisation's name.", examples=["acme"])],
    account: Annotated[AccountId, Path(description="The id of an AWS account.", examples=["444455556666"])],
) -> AccountRequest:
    return AccountRequest(organisation=organisation, account=account)


OneAccount = Annotated[AccountRequest, Depends(_account)]


@router.get("/accounts")
async def list_accounts(
    _: ReadCaller, service: Service, request: Annotated[ListAccountsRequest, Query()]
) -> AccountPage:
    """List the registered AWS accounts, ordered by account id. An organisation sees only its own accounts."""
    return await service.list_accounts(request)


@router.put(_ACCOUNT, status_code=HTTPStatus.NO_CONTENT, responses=openapi_problem_responses(HTTPStatus.CONFLICT))
async def register_account(_: AccountsCaller, service: Service, request: OneAccount) -> Response:
    """Register an AWS account for an organisation, so that the organisation can use keys in the account.

    An account can be registered for only one organisation. Only the vendor's staff may register accounts.
    """
    await service.register_account(request)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.delete(_ACCOUNT, status_code=HTTPStatus.NO_CONTENT, responses=openapi_problem_responses(HTTPStatus.CONFLICT))
async def unregister_account(_: AccountsCaller, service: Service, request: OneAccount) -> Response:
    """Unregister an AWS account. Environments that use keys in the account keep working.

    The response is the same whether or not the account was registered. Only the vendor's staff may unregister accounts.
    """
    await service.unregister_account(request)
    return Response(status_code=HTTPStatus.NO_CONTENT)
