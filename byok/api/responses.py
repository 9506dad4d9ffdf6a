"""The response models that only the API uses."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from byok import __version__
from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.permissions import Verdict
from byok.domain.iam.findings import Severity
from byok.domain.models import Attempt, Problem
from byok.domain.remediation import Remediation
from byok.service.status import EnvironmentSummary


class OnboardingCommands(BaseModel):
    """The commands that the customer runs, with all values filled in.

    Attributes:
        deploy: Creates both keys with CloudFormation.
        payload: Prints the onboarding payload.
        create_keys: Creates both keys without CloudFormation.
        deploy_tenant_role: Creates the optional tenant role; None until the keys are known.
        tenant_role_arn: Prints the ARN of the tenant role; None until the keys are known.
    """

    deploy: str
    payload: str
    create_keys: str
    deploy_tenant_role: str | None
    tenant_role_arn: str | None


class OnboardingValues(BaseModel):
    """Everything that a customer needs before creating the keys.

    Attributes:
        launch_stack_url: A link that opens the AWS console with the key stack filled in; null if the vendor has not set
            `BYOK_API__TEMPLATE_URL`.
    """

    platform_role_arn: str
    platform_account: str
    region: str
    organisation: str | None
    template_file: str
    tenant_role_file: str
    stack_name: str
    launch_stack_url: str | None
    external_id: str | None
    statements: dict[KeyPurpose, list[dict[str, Any]]]
    commands: OnboardingCommands
    prerequisites: list[str]
    warnings: list[str]


class PermissionCheckResponse(BaseModel):
    """A permission that the platform needs on a key, and whether a policy grants this permission."""

    permission: str
    action: str
    through: str
    needed_for: str
    purpose: str
    verdict: Verdict
    sid: str | None
    why: list[str]


class PolicyFinding(BaseModel):
    """A defect in a key policy. The remedy contains the statements to paste into the policy."""

    code: str
    key: KeyPurpose | None
    severity: Severity
    message: str
    remediation: Remediation
    permissions: list[str]
    sid: str | None


class PolicyCheckResponse(BaseModel):
    """The result of a policy check.

    Attributes:
        usable: Whether the policy lets provisioning use the key; None if the result depends on facts that only AWS
            knows.
    """

    key: KeyPurpose
    usable: bool | None
    permissions: list[PermissionCheckResponse]
    findings: list[PolicyFinding]


class DiagnosisResponse(BaseModel):
    """The diagnosis of two keys, based on the output of the key administrator's script.

    Attributes:
        usable: Whether provisioning can use both keys; None if the output lacks the data to decide this.
        findings: The findings, the most severe first.
    """

    usable: bool | None
    findings: list[PolicyFinding]


class AcceptedResponse(BaseModel):
    """An accepted request.

    Attributes:
        started: Whether this request started the work; False if an earlier request started the work.
        step: The activity at which a replay resumes; None if the replay starts over or the request is not a replay.
    """

    environment_id: str
    workflow_id: str
    run_id: str | None = None
    started: bool = True
    step: str | None = None


class AttemptList(BaseModel):
    """All attempts to provision or delete an environment, oldest first."""

    attempts: list[Attempt]


class EnvironmentPage(BaseModel):
    """A page of the list of environments.

    Attributes:
        next: The value to send as `after` to request the next page; None on the last page.
    """

    environments: list[EnvironmentSummary]
    next: str | None = None


class AwsEventResponse(BaseModel):
    """The checks that an AWS event started.

    Attributes:
        environments: The ids of the environments that byok now checks.
    """

    environments: list[str]


class Health(BaseModel):
    """The server's health."""

    status: Literal["ok"] = "ok"
    version: str = __version__
    workers: int | None = Field(
        default=None, description="The number of workers that poll the task queue; returned only by /ready."
    )


class StreamProblem(BaseModel):
    """The last event of a stream that cannot continue."""

    code: str
    detail: str
    problems: list[Problem] = []
