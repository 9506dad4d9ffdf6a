"""The answers of the API, as far as they are not the models that everybody shares."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from byok import __version__
from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.report import Verdict
from byok.domain.iam.findings import Severity
from byok.domain.models import Problem
from byok.service.status import EnvironmentSummary


class OnboardingCommands(BaseModel):
    """The commands that the customer runs, with their values filled in.

    Attributes:
        deploy: Makes both keys by CloudFormation.
        payload: Prints what the customer gives back.
        create_keys: Makes both keys by hand.
        deploy_tenant_role: Makes the optional role; None as long as the keys are not known.
        tenant_role_arn: Prints its ARN.
    """

    deploy: str
    payload: str
    create_keys: str
    deploy_tenant_role: str | None
    tenant_role_arn: str | None


class OnboardingValues(BaseModel):
    """Everything that a customer is given before making the keys."""

    platform_role_arn: str
    platform_account: str
    region: str
    template_file: str
    tenant_role_file: str
    stack_name: str
    external_id: str | None
    statements: dict[KeyPurpose, list[dict[str, Any]]]
    commands: OnboardingCommands
    prerequisites: list[str]
    warnings: list[str]


class PermissionCheckResponse(BaseModel):
    """One permission that the platform needs on a key, and what a policy says to it."""

    permission: str
    action: str
    through: str
    needed_for: str
    purpose: str
    verdict: Verdict
    sid: str | None
    why: list[str]


class PolicyFinding(BaseModel):
    """What is wrong with a key policy, and what to do and to paste."""

    code: str
    key: KeyPurpose | None
    severity: Severity
    message: str
    remedy: str
    permissions: list[str]
    sid: str | None
    paste: list[dict[str, Any]]


class PolicyCheckResponse(BaseModel):
    """What a key policy means for the platform.

    Attributes:
        usable: Whether provisioning could use the key, as far as its policy goes; None where only AWS can say that.
    """

    key: KeyPurpose
    usable: bool | None
    permissions: list[PermissionCheckResponse]
    findings: list[PolicyFinding]


class AcceptedResponse(BaseModel):
    """What was asked for is being done, or was already.

    Attributes:
        started: Whether this request began it.
        step: The step that a replay goes on from; None where it starts anew, and for everything else.
    """

    environment_id: str
    workflow_id: str
    run_id: str | None = None
    started: bool = True
    step: str | None = None


class EnvironmentPage(BaseModel):
    """Some of the environments.

    Attributes:
        next: What the next page is asked for with; None where this is the last.
    """

    environments: list[EnvironmentSummary]
    next: str | None = None


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok"] = "ok"
    version: str = __version__
    workers: int | None = Field(default=None, description="How many workers take work; told by /ready alone.")


class StreamProblem(BaseModel):
    """What a stream ends with where it cannot go on."""

    code: str
    detail: str
    problems: list[Problem] = []
