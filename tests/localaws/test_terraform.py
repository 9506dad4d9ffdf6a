"""Apply the customer's Terraform file as a customer would, and check the resources in the local AWS emulator."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.onboarding.terraform import TERRAFORM_FILE, render_terraform_file
from localaws.accounts import PLATFORM_ROLE_ARN, write_aws_config
from tests.localaws.server import REGION, VENDOR, AwsHarness
from tests.localaws.test_rds_clusters import build_cluster_params
from tests.programs import Terraform


@dataclass(frozen=True)
class TerraformCustomer:
    """The folder in which the customer keeps the Terraform file and runs Terraform."""

    terraform: Terraform
    folder: Path
    environment: Mapping[str, str]

    @property
    def file(self) -> Path:
        """The path of the Terraform file that the customer gets."""
        return self.folder / TERRAFORM_FILE

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Terraform command."""
        command: list[str | Path] = [self.terraform.program, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def apply_or_destroy(self, command: str, **variables: str) -> set[tuple[str, str]]:
        """Run `terraform apply` or `terraform destroy`, and return the action on each changed resource."""
        given = [f"-var={name}={value}" for name, value in variables.items()]
        ended = self.run(command, "-auto-approve", "-input=false", "-json", *given)
        events = [json.loads(line) for line in ended.stdout.splitlines()]
        assert ended.returncode == 0, [event for event in events if event["@level"] == "error"]
        done = [event["hook"] for event in events if event["type"] == "apply_complete"]
        return {(hook["action"], hook["resource"]["addr"]) for hook in done if hook["action"] != "read"}

    def read_payload(self) -> dict[str, str]:
        """Return the onboarding payload that the customer pastes."""
        parsed: dict[str, str] = json.loads(self.run("output", "-raw", "ataccama_onboarding_payload").stdout)
        return parsed


@pytest.fixture
def customer(aws: AwsHarness, terraform: Terraform, tmp_path: Path) -> TerraformCustomer:
    """A customer with an AWS profile for the local AWS emulator. The Terraform file contains no endpoint."""
    config, credentials = write_aws_config(tmp_path / "aws", aws.endpoint, REGION)
    nothing, folder = tmp_path / "terraformrc", tmp_path / "customer"
    nothing.touch()
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))} | {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_PROFILE": "byok",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_CLI_CONFIG_FILE": str(nothing),
        "CHECKPOINT_DISABLE": "true",
        # Running the garbage collector less often saves a third of the CPU time for loading provider schemas.
        "GOGC": "400",
    }
    customer = TerraformCustomer(terraform, folder, environment)
    customer.file.write_text(render_terraform_file(PLATFORM_ROLE_ARN, REGION, VENDOR))
    prepared = customer.run(*terraform.init_arguments(folder))
    assert prepared.returncode == 0, prepared.stderr
    return customer


def list_key_states(kms: Any, keys: Mapping[str, str]) -> set[str]:
    """Return the set of the keys' states."""
    return {kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] for arn in keys.values()}


# contract 36, 44-48, 74, 101-104, 106, 111
def test_file_creates_names_and_protects_keys_until_their_owner_unlocks_them(
    aws: AwsHarness, customer: TerraformCustomer
) -> None:
    formatted = customer.run("fmt", "-check", "-diff")
    assert (formatted.returncode, formatted.stdout) == (0, "")

    kms = aws.customer_client("kms")
    assert customer.apply_or_destroy("apply") == {("create", "aws_kms_key.s3"), ("create", "aws_kms_key.rds")}
    keys = customer.read_payload()
    assert list(keys) == ["S3KmsKeyArn", "RdsKmsKeyArn"]
    for arn in keys.values():
        assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeySpec"] == "SYMMETRIC_DEFAULT"
        assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] is True
    assert kms.list_aliases()["Aliases"] == []
    unchanged = customer.run("plan", "-detailed-exitcode", "-input=false")
    assert unchanged.returncode == 0, unchanged.stdout

    cluster = aws.platform_client("rds").create_db_cluster(**build_cluster_params(keys["RdsKmsKeyArn"]))["DBCluster"]
    assert cluster["KmsKeyId"] == keys["RdsKmsKeyArn"]
    s3 = aws.platform_client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="bucket", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=keys["S3KmsKeyArn"])

    assert customer.apply_or_destroy("apply", tenant_name="acme") == {
        *(("update", f"aws_kms_key.{name}") for name in ("s3", "rds")),
        *(("create", f"aws_kms_alias.{name}[0]") for name in ("s3", "rds")),
    }
    assert customer.read_payload() == keys
    names = {alias["AliasName"]: alias["TargetKeyId"] for alias in kms.list_aliases()["Aliases"]}
    assert names == {
        VENDOR.alias_for_tenant(KeyPurpose.S3, "acme"): keys["S3KmsKeyArn"].rpartition("/")[2],
        VENDOR.alias_for_tenant(KeyPurpose.RDS, "acme"): keys["RdsKmsKeyArn"].rpartition("/")[2],
    }
    for arn in keys.values():
        tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=arn)["Tags"]}
        assert tags == {"ataccama:automation:TenantName": "acme", "aatn": "acme"}

    refused = customer.run("destroy", "-auto-approve", "-input=false", "-no-color", "-var=tenant_name=acme")
    assert "Instance cannot be destroyed" in refused.stderr
    assert list_key_states(kms, keys) == {"Enabled"}

    unlocked = customer.file.read_text().replace("prevent_destroy = true", "prevent_destroy = false")
    customer.file.write_text(unlocked)
    assert {action for action, _ in customer.apply_or_destroy("destroy", tenant_name="acme")} == {"delete"}
    assert list_key_states(kms, keys) == {"PendingDeletion"}
    assert kms.list_aliases()["Aliases"] == []
