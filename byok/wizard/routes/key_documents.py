"""The files that a key administrator downloads from the page *Encryption at rest*."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from byok.api.dependencies import State
from byok.api.routes.onboarding import build_download_response, build_kit
from byok.onboarding.downloads import build_collection_script, build_template
from byok.onboarding.template_kinds import TemplateKind
from byok.wizard.dependencies import WriteSession
from byok.wizard.draft import EnvironmentDraft

router = APIRouter(prefix="/new")


@router.get("/template")
async def download_template(
    state: State,
    _: WriteSession,
    view: Annotated[bool, Query(description="Whether to show the template instead of downloading it.")] = False,
) -> Response:
    """Download or show the template that creates both keys."""
    file = build_template(TemplateKind.KEYS, "", "", state.vendor)
    return Response(file.text, media_type="text/plain") if view else build_download_response(file)


@router.get("/tenant-role-template")
async def download_tenant_role_template(state: State, _: WriteSession) -> Response:
    """Download the template that creates the optional role for the tenant name."""
    return build_download_response(build_template(TemplateKind.TENANT_ROLE, "", "", state.vendor))


@router.get("/terraform")
async def download_terraform_file(request: Request, state: State, session: WriteSession) -> Response:
    """Download the Terraform file that creates both keys in the draft's Region."""
    draft, owner = EnvironmentDraft.from_fields(request.query_params), session.caller.organisation
    build_kit(state, draft.region, "any", organisation=owner)  # rejects a Region that is unknown or not in use
    file = build_template(TemplateKind.TERRAFORM, state.platform_role_arn, draft.region, state.vendor, owner)
    return build_download_response(file)


@router.get("/script")
async def download_script(request: Request, state: State, session: WriteSession) -> Response:
    """Download the script that collects information about the draft's keys."""
    draft, owner = EnvironmentDraft.from_fields(request.query_params), session.caller.organisation
    build_kit(state, draft.region, "any", organisation=owner)
    file = build_collection_script(
        state.platform_role_arn, draft.region, draft.s3_key_arn or None, draft.rds_key_arn or None, owner
    )
    return build_download_response(file)
