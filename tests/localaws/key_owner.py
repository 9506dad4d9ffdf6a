"""Simulates a key owner, whose actions on a key affect the resources that are encrypted with the key."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from byok.domain.key_owner_acts import Act
from byok.domain.problems.aws_errors import classify_error
from localaws.accounts import PLATFORM_ROLE_ARN
from tests.localaws.server import REGION, AwsHarness
from tests.localaws.test_key_material import import_key_material

_ALIAS: Final = "alias/moved"
_MATERIAL: Final = b"m" * 32
_OTHER_REGION: Final = "eu-west-1"
_OTHER_ROLE: Final = "AnotherRole"
_TAG: Final = "cost-centre"
DENY_SID: Final = "DenyPlatform"


@dataclass(frozen=True)
class KeyOwner:
    """The customer's key administrator, with one key.

    Attributes:
        key: The ARN of a valid S3 key or a valid Aurora key.
    """

    aws: AwsHarness
    key: str

    @property
    def kms(self) -> Any:
        """A KMS client with the credentials of the key's owner."""
        return self.aws.customer_client("kms")

    def prepare(self, act: Act) -> None:
        """Put the key into a state in which the action is possible."""
        match act:
            case Act.ENABLE:
                self.kms.disable_key(KeyId=self.key)
            case Act.CANCEL_DELETION | Act.DELETE_KEY:
                self.kms.schedule_key_deletion(KeyId=self.key, PendingWindowInDays=7)
            case Act.MOVE_ALIAS:
                self.kms.create_alias(AliasName=_ALIAS, TargetKeyId=self.key)
            case Act.CHANGE_TAG:
                self.kms.tag_resource(KeyId=self.key, Tags=[{"TagKey": _TAG, "TagValue": "1"}])
            case _:
                pass

    def perform(self, act: Act) -> None:
        """Perform an action, using the AWS operations that docs/what-happens-when.md lists for it."""
        steps: dict[Act, Callable[[], object]] = {
            Act.DISABLE: lambda: self.kms.disable_key(KeyId=self.key),
            Act.ENABLE: lambda: self.kms.enable_key(KeyId=self.key),
            Act.SCHEDULE_DELETION: lambda: self.kms.schedule_key_deletion(KeyId=self.key, PendingWindowInDays=7),
            Act.CANCEL_DELETION: lambda: self.kms.cancel_key_deletion(KeyId=self.key),
            Act.DELETE_KEY: lambda: self.aws.call_control("POST", "elapse", days=7),
            Act.REMOVE_STATEMENTS: lambda: self._replace_statements(lambda _: None),
            Act.CHANGE_REGION: lambda: self._replace_statements(_move_to_other_region),
            Act.CHANGE_PRINCIPAL: self._change_principal,
            Act.DENY: self._deny,
            Act.REVOKE_GRANT: self._revoke_grants,
            Act.DELETE_KEY_MATERIAL: lambda: self.kms.delete_imported_key_material(KeyId=self.key),
            Act.ROTATE: self._rotate,
            Act.MOVE_ALIAS: lambda: self.kms.update_alias(AliasName=_ALIAS, TargetKeyId=self.aws.create_key()),
            Act.CHANGE_TAG: self._change_tag,
        }
        steps[act]()

    def undo(self, act: Act, policy: str) -> None:
        """Undo an action as docs/what-happens-when.md says.

        Args:
            act: The act.
            policy: The key policy before the act.
        """
        match act:
            case Act.DISABLE | Act.CANCEL_DELETION:
                self.kms.enable_key(KeyId=self.key)
            case Act.SCHEDULE_DELETION:
                self.kms.cancel_key_deletion(KeyId=self.key)
                self.kms.enable_key(KeyId=self.key)
            case Act.DELETE_KEY_MATERIAL:
                import_key_material(self.kms, self.key, _MATERIAL)
            case _:
                self.kms.put_key_policy(KeyId=self.key, Policy=policy)

    def get_policy(self) -> str:
        """Return the key policy as text."""
        policy: str = self.kms.get_key_policy(KeyId=self.key)["Policy"]
        return policy

    def _replace_statements(self, replace: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Replace each of the platform's statements, or remove the statements for which `replace` returns None."""
        policy = json.loads(self.get_policy())
        changed = [
            replace(statement) if statement["Principal"] == {"AWS": PLATFORM_ROLE_ARN} else statement
            for statement in policy["Statement"]
        ]
        assert changed != policy["Statement"]
        policy["Statement"] = [statement for statement in changed if statement]
        self.kms.put_key_policy(KeyId=self.key, Policy=json.dumps(policy))

    def _change_principal(self) -> None:
        trust = {"Effect": "Allow", "Principal": {"AWS": PLATFORM_ROLE_ARN}, "Action": "sts:AssumeRole"}
        made = self.aws.operator_client("iam").create_role(
            RoleName=_OTHER_ROLE, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )
        self._replace_statements(lambda statement: {**statement, "Principal": {"AWS": made["Role"]["Arn"]}})

    def _deny(self) -> None:
        policy = json.loads(self.get_policy())
        principal = {"AWS": PLATFORM_ROLE_ARN}
        policy["Statement"].append(
            {"Sid": DENY_SID, "Effect": "Deny", "Principal": principal, "Action": "kms:*", "Resource": "*"}
        )
        self.kms.put_key_policy(KeyId=self.key, Policy=json.dumps(policy))

    def _revoke_grants(self) -> None:
        for grant in self.kms.list_grants(KeyId=self.key)["Grants"]:
            self.kms.revoke_grant(KeyId=self.key, GrantId=grant["GrantId"])

    def _rotate(self) -> None:
        self.kms.enable_key_rotation(KeyId=self.key)
        self.kms.rotate_key_on_demand(KeyId=self.key)
        assert len(self.kms.list_key_rotations(KeyId=self.key)["Rotations"]) == 1

    def _change_tag(self) -> None:
        self.kms.tag_resource(KeyId=self.key, Tags=[{"TagKey": _TAG, "TagValue": "2"}])
        self.kms.untag_resource(KeyId=self.key, TagKeys=[_TAG])


def create_owner(aws: AwsHarness, create: Callable[..., str], act: Act) -> KeyOwner:
    """Create a valid key and its owner. If the act requires imported key material, import it into the key."""
    if act is not Act.DELETE_KEY_MATERIAL:
        return KeyOwner(aws, create())
    owner = KeyOwner(aws, create(Origin="EXTERNAL"))
    import_key_material(owner.kms, owner.key, _MATERIAL)
    return owner


def find_problem_code(service: str, call: Callable[..., Any], **params: Any) -> str:
    """Return the problem code for the error of a call, or "" if the call succeeds.

    byok must attribute every error of such a call to the customer's key.
    """
    try:
        call(**params)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        assert classify_error(service, code, message).customer_key
        return f"{service}.{code}"
    return ""


def _move_to_other_region(statement: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(statement).replace(f".{REGION}.", f".{_OTHER_REGION}."))
    return changed
