"""Two keys of one environment, and a tenant role deployed from the real template."""

from typing import Any

from activities.external_ids import ExternalIdActivities
from activities.tenant import TenantActivities
from byok.domain.arns import KeyPurpose
from byok.domain.models import ExternalIdRequest, ReconciledKey, ReconcileKeyTask
from byok.domain.onboarding.customer_commands import TENANT_ROLE_ARN_OUTPUT
from byok.domain.planning import plan_tenant
from byok.onboarding.tenant_role import render_tenant_role_template
from tests.activities.conftest import PLATFORM, ActivityHarness
from tests.localaws.server import VENDOR
from tests.workflows.fake_activities import build_tenant_request

WRITES = {"CreateAlias", "UpdateAlias", "DeleteAlias", "TagResource", "UntagResource"}


class TenantHarness:
    """Two keys of one environment, the tenant role in the customer's account, and the activity under test."""

    def __init__(self, harness: ActivityHarness) -> None:
        self.harness, self.aws = harness, harness.aws
        self.activities = TenantActivities(harness.clients, PLATFORM)
        self.keys = {which: harness.plan.environment.key_arn(which) for which in KeyPurpose}
        ids = ExternalIdActivities(harness.clients, PLATFORM)
        self.external_id = str(harness.run_with_retries(ids.get_external_id, ExternalIdRequest()))
        self.role_arn = self._deploy_role()
        self.kms = self.aws.customer_client("kms")

    def _deploy_role(self) -> str:
        stacks = self.aws.customer_client("cloudformation")
        given = {
            VENDOR.role_parameter_name: PLATFORM.role_arn,
            "S3KmsKeyArn": self.keys[KeyPurpose.S3],
            "RdsKmsKeyArn": self.keys[KeyPurpose.RDS],
            "ExternalId": self.external_id,
        }
        stacks.create_stack(
            StackName="tenant-role",
            TemplateBody=render_tenant_role_template(VENDOR),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = stacks.describe_stacks(StackName="tenant-role")["Stacks"]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        return str(outputs[TENANT_ROLE_ARN_OUTPUT])

    def build_task(
        self, which: KeyPurpose, tenant: str = "acme", *, repoint: bool = False, **changes: str
    ) -> ReconcileKeyTask:
        """Build the activity's input for setting a tenant name on one of the keys.

        Args:
            which: The key.
            tenant: The tenant name.
            repoint: Whether to repoint an alias that points to a different key.
            changes: `role_arn` replaces the tenant role; `organisation` replaces the environment's organisation.
        """
        organisation = {"organisation": changes["organisation"]} if "organisation" in changes else {}
        environment = self.harness.plan.environment.model_copy(update=organisation)
        keys = {f"{key}_key_arn": arn for key, arn in self.keys.items()}
        asked = build_tenant_request(environment.environment_id, tenant=tenant, **keys)
        plan = plan_tenant(asked, PLATFORM, self.harness.now)
        assert plan.tenant is not None, plan.findings
        marks = next(one for one in plan.tenant.marks if one.key is which)
        role_arn = changes.get("role_arn", self.role_arn)
        return ReconcileKeyTask(environment=environment, marks=marks, role_arn=role_arn, repoint=repoint)

    def reconcile(self, which: KeyPurpose, tenant: str = "acme", **more: Any) -> ReconciledKey:
        """Run the activity, with retries as in Temporal."""
        found: ReconciledKey = self.harness.run_with_retries(
            self.activities.reconcile_key, self.build_task(which, tenant, **more)
        )
        return found

    def get_tags_and_aliases(self, which: KeyPurpose) -> tuple[dict[str, str], list[str]]:
        """Return the tags and aliases of a key."""
        arn = self.keys[which]
        tags = self.kms.list_resource_tags(KeyId=arn)["Tags"]
        aliases = self.kms.list_aliases(KeyId=arn)["Aliases"]
        return {tag["TagKey"]: tag["TagValue"] for tag in tags}, [alias["AliasName"] for alias in aliases]

    def list_writes(self) -> list[str]:
        """List the KMS calls that changed an alias or a tag since `forget_calls` was last called."""
        return [call for call in self.aws.list_calls("kms") if call in WRITES]

    def forget_calls(self) -> None:
        self.aws.call_control("DELETE", "calls")


def tenant_alias(which: KeyPurpose, name: str = "acme") -> str:
    """Return the alias that a key gets for a tenant name."""
    return VENDOR.alias_for_tenant(which, name)
