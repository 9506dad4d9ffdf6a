"""The page that diagnoses the keys of an existing environment from the output of the collection script."""

from http import HTTPStatus

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from byok.domain.arns import KeyPair
from byok.domain.aws_console import cloudshell_url
from byok.service.status import EnvironmentStatus
from byok.wizard.dependencies import Form, WriteSession, accept_one_file
from byok.wizard.environment_page import EnvironmentPage, PageOfEnvironment
from byok.wizard.examination import Diagnosis, diagnose_output

router = APIRouter(prefix="/environments")


@router.get("/{environment_id}/diagnosis")
async def show_diagnosis(page: PageOfEnvironment, _: WriteSession) -> Response:
    """Show how to run the script, and the fields for its output."""
    status = await page.service.read_status(page.environment_id)
    region, _keys = _require_customer_keys(status)
    return _render(page, status, region, Diagnosis())


@router.post("/{environment_id}/diagnosis", dependencies=[Depends(accept_one_file)])
async def diagnose(page: PageOfEnvironment, _: WriteSession, form: Form) -> Response:
    """Diagnose the keys. The diagnosis only evaluates the text in the request, and does not call AWS."""
    status = await page.service.read_status(page.environment_id)
    region, keys = _require_customer_keys(status)
    return _render(page, status, region, await diagnose_output(form, page.state, region, status.profile, keys))


def _require_customer_keys(status: EnvironmentStatus) -> tuple[str, KeyPair]:
    """Return the environment's Region and keys.

    Raises:
        HTTPException: The environment has no customer-managed keys that byok knows (404).
    """
    if not (status.region and status.s3_key_arn and status.rds_key_arn):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return status.region, KeyPair(status.s3_key_arn, status.rds_key_arn)


def _render(page: EnvironmentPage, status: EnvironmentStatus, region: str, diagnosis: Diagnosis) -> Response:
    return page.pages.render(
        page.request,
        "diagnosis.html",
        session=page.session,
        environment=status,
        cloudshell_url=cloudshell_url(region),
        diagnosis=diagnosis,
    )
