"""Two keys of one environment, and the role that may name them, made by the real template."""

from typing import Any

from activities.tenant import TenantActivities
from byok.domain.arns import KeyPurpose
from byok.domain.models import KeyTenant, TenantRole, TenantTask
from byok.domain.onboarding.customer_commands import TENANT_ROLE_OUTPUT
from byok.domain.planning import plan_tenant
from byok.onboarding.tenant_role import tenant_role_template
from tests.activities.conftest import PLATFORM, ActivityHarness
from tests.localaws.server import VENDOR
from tests.workflows.fake_activities import naming

EXTERNAL_ID = "acme-4711"
WRITES = {"CreateAlias", "UpdateAlias", "DeleteAlias", "TagResource", "UntagResource"}


class Tenant:
    """Two keys of one environment, the role of their owner's, and the activity."""

    def __init__(self, harness: ActivityHarness) -> None:
        self.harness, self.aws = harness, harness.aws
        self.activities = TenantActivities(harness.clients, PLATFORM)
        self.keys = {which: harness.plan.environment.key_arn(which) for which in KeyPurpose}
        self.role = TenantRole(role_arn=self._deploy_role(), external_id=EXTERNAL_ID)
        self.kms = self.aws.customer("kms")

    def _deploy_role(self) -> str:
        stacks = self.aws.customer("cloudformation")
        given = {
            VENDOR.role_parameter: PLATFORM.role_arn,
            "S3KmsKeyArn": self.keys[KeyPurpose.S3],
            "RdsKmsKeyArn": self.keys[KeyPurpose.RDS],
            "ExternalId": EXTERNAL_ID,
        }
        stacks.create_stack(
            StackName="tenant-role",
            TemplateBody=tenant_role_template(VENDOR),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = stacks.describe_stacks(StackName="tenant-role")["Stacks"]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        return str(outputs[TENANT_ROLE_OUTPUT])

    def task(self, which: KeyPurpose, tenant: str = "acme", *, repoint: bool = False, **role: str) -> TenantTask:
        """The task for one of the keys."""
        environment = self.harness.plan.environment
        keys = {f"{key}_key_arn": arn for key, arn in self.keys.items()}
        asked = naming(environment.environment_id, tenant=tenant, **keys)
        plan = plan_tenant(asked, PLATFORM, self.harness.now)
        assert plan.tenant is not None, plan.findings
        marks = next(one for one in plan.tenant.marks if one.key is which)
        chosen = self.role.model_copy(update=role)
        return TenantTask(environment=environment, marks=marks, role=chosen, repoint=repoint)

    def reconcile(self, which: KeyPurpose, tenant: str = "acme", **more: Any) -> KeyTenant:
        """The activity, as Temporal runs it."""
        found: KeyTenant = self.harness.run_with_retries(
            self.activities.reconcile_key, self.task(which, tenant, **more)
        )
        return found

    def bears(self, which: KeyPurpose) -> tuple[dict[str, str], list[str]]:
        """The tags and aliases of a key."""
        arn = self.keys[which]
        tags = self.kms.list_resource_tags(KeyId=arn)["Tags"]
        aliases = self.kms.list_aliases(KeyId=arn)["Aliases"]
        return {tag["TagKey"]: tag["TagValue"] for tag in tags}, [alias["AliasName"] for alias in aliases]

    def writes(self) -> list[str]:
        """The writing calls since they were last forgotten."""
        return [call for call in self.aws.calls("kms") if call in WRITES]

    def forget_calls(self) -> None:
        self.aws.control("DELETE", "calls")


def alias(which: KeyPurpose, name: str = "acme") -> str:
    """The alias that a key gets with a tenant's name."""
    return VENDOR.alias(which, name)
