"""A catalogue of key policies, one for every way in which a policy can be wrong, and the first finding for each.

The policies are written for the Region and the role of a `PolicyContext`. Each case also states whether its policy
stops provisioning. The offline check, local AWS and a whole provisioning must all agree with the case.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.iam.statements import Statement
from tests.policy_context import PolicyContext, Statements

S3, RDS = KeyPurpose.S3, KeyPurpose.RDS
OTHER_REGION: Final = "eu-west-1"
Change = Callable[[Statements, PolicyContext], Statements]


@dataclass(frozen=True)
class Case:
    """One key policy of the catalogue.

    Attributes:
        name: A short description of the policy's fault.
        which: The purpose of the key.
        change: The function that changes the platform's valid statements into this policy's statements.
        first: The code of the first finding; None if the policy is valid.
        stops: Whether the policy stops provisioning; None if only AWS can know.
        saved: Whether KMS still accepts such a policy; older keys may have policies that KMS no longer accepts.
    """

    name: str
    which: KeyPurpose
    change: Change
    first: str | None
    stops: bool | None = True
    saved: bool = True

    def build_policy(self, place: PolicyContext) -> dict[str, Any]:
        """Build the policy document; the first statement is the one for the key's owner."""
        ours = self.change(copy.deepcopy(place.build_statements(self.which)), place)
        return {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [place.owner_statement, *ours]}


def _set(index: int, path: str, value: Any) -> Change:
    """Set a value at a path of one statement; `{customer}`, `{platform}` and `{region}` in the value are replaced."""

    def change(ours: Statements, place: PolicyContext) -> Statements:
        part: Any = ours[index]
        *way, last = path.split("/")
        for step in way:
            part = part[step]
        part[last] = _fill(value, place)
        return ours

    return change


def _fill(value: Any, place: PolicyContext) -> Any:
    if isinstance(value, str):
        names = {"{customer}": place.customer, "{platform}": account_id_of_role(place.role), "{region}": place.region}
        for name, text in {**names, "{role}": place.role}.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, list):
        return [_fill(item, place) for item in value]
    return {key: _fill(item, place) for key, item in value.items()} if isinstance(value, dict) else value


def _without(index: int, path: str) -> Change:
    def change(ours: Statements, _: PolicyContext) -> Statements:
        part: Any = ours[index]
        *way, last = path.split("/")
        for step in way:
            part = part[step]
        del part[last]
        return ours

    return change


def _both(*changes: Change) -> Change:
    def change(ours: Statements, place: PolicyContext) -> Statements:
        for one in changes:
            ours = one(ours, place)
        return ours

    return change


def _only(*indexes: int) -> Change:
    return lambda ours, _: [ours[index] for index in indexes]


def _of_region(region: str) -> Change:
    return lambda ours, place: place.build_statements(S3 if len(ours) == 1 else RDS, region=region)


def _with(statement: Statement) -> Change:
    return lambda ours, place: [*ours, _fill(statement, place)]


def _of_the_other_key(ours: Statements, place: PolicyContext) -> Statements:
    return place.build_statements(RDS if len(ours) == 1 else S3)


def _deny(action: Any, **more: Any) -> Statement:
    return {"Sid": "Guard", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*", **more}


def _for_any_principal(place: PolicyContext, condition: dict[str, Any]) -> Statement:
    return {
        "Sid": "OurOwn",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "kms:*",
        "Resource": "*",
        "Condition": _fill(condition, place),
    }


_VIA = "Condition/StringEquals/kms:ViaService"
_ACCOUNT = "Condition/StringEquals/aws:PrincipalAccount"
_ROLE = "Principal/AWS"
_OUTSIDERS = {"StringNotEquals": {"aws:PrincipalAccount": "{customer}"}}
_WITHOUT_STARS = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt", "kms:GenerateDataKey", "kms:DescribeKey"]

POLICY_CASES: Final = (
    # Valid policies, for which the check must not report a blocking finding.
    Case("S3: valid", S3, _only(0), None, stops=False),
    Case("Aurora: valid", RDS, _only(0, 1), None, stops=False),
    Case("Aurora: statements in reverse order", RDS, _only(1, 0), None, stops=False),
    Case("S3: one action as a string", S3, _set(0, "Action", "kms:*"), None, stops=False),
    Case("S3: both keys' statements", S3, lambda ours, place: ours + place.build_statements(RDS), "policy.TooWide",
         stops=False),
    Case("Aurora: both keys' statements", RDS, lambda ours, place: ours + place.build_statements(S3), "policy.TooWide",
         stops=False),
    Case("S3: another Sid", S3, _set(0, "Sid", "Platform"), None, stops=False),
    Case("S3: role in a list", S3, _set(0, _ROLE, ["{role}"]), None, stops=False),
    Case("S3: values in lists", S3, _set(0, _VIA, ["s3.{region}.amazonaws.com"]), None, stops=False),
    Case("S3: condition keys in lower case", S3, _set(0, "Condition", {"StringEquals": {
        "KMS:viaservice": "s3.{region}.amazonaws.com", "AWS:principalaccount": "{platform}"}}), None, stops=False),
    Case("Aurora: Bool as a JSON boolean", RDS, _set(1, "Condition/Bool", {"kms:GrantIsForAWSResource": True}), None,
         stops=False),
    Case("S3: a Deny for others", S3, _with(_deny("kms:*", Condition={
        "StringNotEquals": {"aws:PrincipalAccount": ["{customer}", "{platform}"]}})), None, stops=False),
    Case("S3: a Deny of deletion", S3, _with(_deny("kms:ScheduleKeyDeletion")), None, stops=False),
    # Missing statements.
    Case("S3: no statement", S3, lambda *_: [], "policy.StatementMissing"),
    Case("Aurora: no statement", RDS, lambda *_: [], "policy.StatementMissing"),
    Case("Aurora: no grants statement", RDS, _only(0), "policy.StatementMissing"),
    Case("Aurora: no DescribeKey statement", RDS, _only(1), "policy.StatementMissing"),
    Case("S3: statement of the Aurora key", S3, _of_the_other_key, "policy.StatementOfTheOtherKey"),
    Case("Aurora: statement of the S3 key", RDS, _of_the_other_key, "policy.StatementOfTheOtherKey"),
    # The principal.
    Case("S3: role of another account", S3, _set(0, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform"),
         "policy.RoleOfAnotherAccount"),
    Case("Aurora: role of another account", RDS, _both(
        _set(0, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform"),
        _set(1, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform")), "policy.RoleOfAnotherAccount"),
    Case("Aurora: role of another account, grants only", RDS,
         _set(1, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform"), "policy.RoleOfAnotherAccount"),
    Case("S3: the customer's own account", S3, _set(0, _ROLE, "arn:aws:iam::{customer}:root"),
         "policy.RoleOfAnotherAccount"),
    Case("S3: another role of the platform", S3, _set(0, _ROLE, "arn:aws:iam::{platform}:role/AnotherRole"),
         "policy.OtherRole"),
    Case("Aurora: another role of the platform", RDS, _both(
        _set(0, _ROLE, "arn:aws:iam::{platform}:role/AnotherRole"),
        _set(1, _ROLE, "arn:aws:iam::{platform}:role/AnotherRole")), "policy.OtherRole"),
    Case("S3: a user of the platform", S3, _set(0, _ROLE, "arn:aws:iam::{platform}:user/AtaccamaPlatform"),
         "policy.OtherRole"),
    Case("S3: orphaned principal", S3, _set(0, _ROLE, "AROAEXAMPLEORPHAN1234"), "policy.OrphanedPrincipal"),
    Case("Aurora: orphaned principal", RDS, _both(
        _set(0, _ROLE, "AROAEXAMPLEORPHAN1234"), _set(1, _ROLE, "AROAEXAMPLEORPHAN1234")), "policy.OrphanedPrincipal"),
    Case("S3: a session of the role", S3,
         _set(0, _ROLE, "arn:aws:sts::{platform}:assumed-role/AtaccamaPlatform/deployment"),
           "policy.PrincipalIsASession"),
    Case("S3: NotPrincipal that names the role", S3, _both(
        _without(0, "Principal"), _set(0, "NotPrincipal", {"AWS": "{role}"})), "policy.NotPrincipal"),
    Case("S3: a service as principal", S3, _set(0, "Principal", {"Service": "s3.amazonaws.com"}),
         "policy.PrincipalIsAService"),
    Case("Aurora: a service as principal", RDS, _both(
        _set(0, "Principal", {"Service": "rds.amazonaws.com"}), _set(1, "Principal", {"Service": "rds.amazonaws.com"})),
        "policy.PrincipalIsAService"),
    Case("S3: NotPrincipal that allows the role", S3, _both(
        _without(0, "Principal"), _set(0, "NotPrincipal", {"AWS": "arn:aws:iam::{customer}:root"})),
        "policy.TooWide", stops=False),
    Case("S3: any principal, limited to the platform's account", S3, _set(0, "Principal", "*"),
         "policy.TooWide", stops=False),
    Case("S3: the platform's whole account", S3, _set(0, _ROLE, "arn:aws:iam::{platform}:root"),
         "policy.TooWide", stops=False),
    # The service in kms:ViaService.
    Case("S3: wrong Region", S3, _of_region(OTHER_REGION), "policy.WrongRegionInViaService"),
    Case("Aurora: wrong Region", RDS, _of_region(OTHER_REGION), "policy.WrongRegionInViaService"),
    Case("Aurora: wrong Region, grants only", RDS, _set(1, _VIA, f"rds.{OTHER_REGION}.amazonaws.com"),
         "policy.WrongRegionInViaService"),
    Case("S3: no Region", S3, _set(0, _VIA, "s3.amazonaws.com"), "policy.WrongRegionInViaService"),
    Case("S3: through RDS", S3, _set(0, _VIA, "rds.{region}.amazonaws.com"), "policy.WrongServiceInViaService"),
    Case("Aurora: through S3", RDS, _both(
        _set(0, _VIA, "s3.{region}.amazonaws.com"), _set(1, _VIA, "s3.{region}.amazonaws.com")),
        "policy.WrongServiceInViaService"),
    Case("Aurora: through EC2", RDS, _set(1, _VIA, "ec2.{region}.amazonaws.com"), "policy.WrongServiceInViaService"),
    Case("S3: China's suffix", S3, _set(0, _VIA, "s3.{region}.amazonaws.com.cn"), "policy.WrongServiceInViaService"),
    Case("S3: wildcard with StringEquals", S3, _set(0, _VIA, "s3.*.amazonaws.com"), "policy.WrongRegionInViaService"),
    Case("S3: upper case", S3, _set(0, _VIA, "S3.{region}.amazonaws.com"), "policy.WrongServiceInViaService"),
    Case("S3: placeholder left", S3, _set(0, _VIA, "s3.${platformRegion}.amazonaws.com"), "policy.PlaceholderLeft"),
    Case("S3: placeholder in angle brackets left", S3, _set(0, _VIA, "s3.<region>.amazonaws.com"),
         "policy.PlaceholderLeft"),
    Case("S3: StringNotEquals", S3, _set(0, "Condition", {
        "StringNotEquals": {"kms:ViaService": "s3.{region}.amazonaws.com"}}), "policy.ConditionNotMet"),
    Case("S3: no ViaService", S3, _without(0, _VIA), "policy.TooWide", stops=False),
    Case("Aurora: no ViaService", RDS, _without(0, _VIA), "policy.TooWide", stops=False),
    Case("S3: every Region", S3, _set(0, "Condition", {"StringLike": {
        "kms:ViaService": "s3.*.amazonaws.com"}, "StringEquals": {"aws:PrincipalAccount": "{platform}"}}),
        "policy.TooWide", stops=False),
    # The account.
    Case("S3: the customer's account in the condition", S3, _set(0, _ACCOUNT, "{customer}"), "policy.WrongAccount"),
    Case("Aurora: the customer's account in the condition", RDS, _both(
        _set(0, _ACCOUNT, "{customer}"), _set(1, _ACCOUNT, "{customer}")), "policy.WrongAccount"),
    Case("S3: account with hyphens", S3, _set(0, _ACCOUNT, "1111-2222-3333"), "policy.WrongAccount"),
    Case("S3: account's placeholder left", S3, _set(0, _ACCOUNT, "${platformAccountId}"), "policy.PlaceholderLeft"),
    # The actions.
    Case("S3: stars missing", S3, _set(0, "Action", _WITHOUT_STARS), "policy.StarMissing", stops=False),
    Case("S3: no GenerateDataKey", S3, _set(0, "Action", ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]),
         "policy.ActionMissing"),
    Case("S3: no Decrypt", S3, _set(0, "Action", ["kms:Encrypt", "kms:GenerateDataKey*"]), "policy.ActionMissing"),
    Case("S3: only actions needed later missing", S3, _set(0, "Action", ["kms:GenerateDataKey*", "kms:Decrypt"]),
         "policy.ActionMissing", stops=False),
    Case("Aurora: no CreateGrant", RDS, _set(1, "Action", ["kms:ListGrants", "kms:RevokeGrant"]),
         "policy.ActionMissing"),
    Case("Aurora: no RevokeGrant", RDS, _set(1, "Action", ["kms:CreateGrant", "kms:ListGrants"]),
         "policy.ActionMissing", stops=False),
    Case("Aurora: DescribeKey statement with other actions", RDS, _set(0, "Action", ["kms:ListGrants"]),
         "policy.ActionMissing"),
    Case("S3: actions of another service", S3, _set(0, "Action", ["s3:*"]), "policy.ActionMissing"),
    Case("S3: NotAction", S3, _both(_without(0, "Action"), _set(0, "NotAction", ["kms:GenerateDataKey*"])),
         "policy.NotAction"),
    # The resource.
    Case("S3: an alias as resource", S3, _set(0, "Resource", "arn:aws:kms:{region}:{customer}:alias/byok"),
         "policy.ResourceNotStar"),
    Case("S3: a bucket as resource", S3, _set(0, "Resource", "arn:aws:s3:::bucket/*"), "policy.ResourceNotStar"),
    Case("Aurora: a cluster as resource", RDS, _set(1, "Resource", "arn:aws:rds:{region}:{platform}:cluster:*"),
         "policy.ResourceNotStar"),
    # Incomplete statements, which only older keys can have and which have no effect (KMS API reference, PutKeyPolicy).
    Case("S3: no Resource", S3, _without(0, "Resource"), "policy.ResourceNotStar", saved=False),
    Case("Aurora: no Resource on grants", RDS, _without(1, "Resource"), "policy.ResourceNotStar", saved=False),
    Case("S3: no Action", S3, _without(0, "Action"), "policy.ActionMissing", saved=False),
    Case("Aurora: no Action on DescribeKey", RDS, _without(0, "Action"), "policy.ActionMissing", saved=False),
    # Grants.
    Case("Aurora: Bool false", RDS, _set(1, "Condition/Bool", {"kms:GrantIsForAWSResource": "false"}),
         "policy.WrongGrantCondition"),
    Case("Aurora: Bool missing", RDS, _without(1, "Condition/Bool"), "policy.TooWide", stops=False),
    Case("Aurora: Bool on DescribeKey, too", RDS,
         _set(0, "Condition/Bool", {"kms:GrantIsForAWSResource": "true"}), "policy.WrongGrantCondition"),
    # Other conditions.
    Case("S3: aws:SourceAccount, which only services send", S3,
         _set(0, "Condition/StringEquals/aws:SourceAccount", "{platform}"), "policy.ConditionNotMet"),
    Case("Aurora: aws:SourceArn, which only services send", RDS,
         _set(1, "Condition/ArnLike", {"aws:SourceArn": "arn:aws:rds:{region}:{platform}:cluster:*"}),
           "policy.ConditionNotMet"),
    Case("S3: another role in aws:PrincipalArn", S3,
         _set(0, "Condition/ArnEquals", {"aws:PrincipalArn": "arn:aws:iam::{platform}:role/AnotherRole"}),
           "policy.ConditionNotMet"),
    Case("S3: an organisation, which the check cannot see", S3,
         _set(0, "Condition/StringEquals/aws:PrincipalOrgID", "o-example1234"), "policy.CannotBeSaid", stops=None),
    Case("Aurora: grant operations, which only RDS chooses", RDS,
         _set(1, "Condition/ForAllValues:StringEquals", {"kms:GrantOperations": ["Decrypt"]}),
           "policy.CannotBeSaid", stops=None),
    Case("S3: not of an organisation, which the check cannot see", S3,
         _set(0, "Condition/StringNotEquals", {"aws:PrincipalOrgID": "o-example1234"}),
           "policy.CannotBeSaid", stops=None),
    Case("S3: a VPC endpoint, if present", S3,
         _set(0, "Condition/StringEqualsIfExists", {"aws:SourceVpce": "vpce-1"}), "policy.CannotBeSaid", stops=None),
    Case("S3: no encryption context, which S3 chooses", S3,
         _set(0, "Condition/Null", {"kms:EncryptionContext:aws:s3:arn": "true"}), "policy.CannotBeSaid", stops=None),
    Case("S3: an unknown operator", S3,
         _set(0, "Condition/StringIs", {"aws:PrincipalAccount": "{platform}"}), "policy.CannotBeSaid", stops=None),
    Case("S3: nothing but an organisation's own statement", S3, lambda _, place: [
        _for_any_principal(place, {"StringEquals": {"aws:PrincipalOrgID": "o-example1234"}})], "policy.CannotBeSaid",
        stops=None),
    # Statements for the customer's principals, which the check must not mistake for broken statements for the platform.
    Case("S3: nothing but a statement for the owner's account", S3, lambda _, place: [
        _for_any_principal(place, {"StringEquals": {"kms:CallerAccount": "{customer}"}})], "policy.StatementMissing"),
    Case("S3: nothing but the owner's use through S3", S3, lambda _, place: [
        _for_any_principal(place, {"StringEquals": {
            "kms:CallerAccount": "{customer}", "kms:ViaService": "s3.{region}.amazonaws.com"}})],
        "policy.StatementMissing"),
    Case("S3: nothing but the owner's account through S3", S3, lambda _, place: [
        {**_for_any_principal(place, {"StringEquals": {"kms:ViaService": "s3.{region}.amazonaws.com"}}),
         "Principal": {"AWS": f"arn:aws:iam::{place.customer}:root"}}], "policy.StatementMissing"),
    # Deny.
    Case("S3: Effect Deny", S3, _set(0, "Effect", "Deny"), "policy.ExplicitDeny"),
    Case("Aurora: Effect Deny on grants", RDS, _set(1, "Effect", "Deny"), "policy.ExplicitDeny"),
    Case("S3: Deny for all outsiders", S3, _with(_deny("kms:*", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("Aurora: Deny for all outsiders", RDS, _with(_deny("kms:*", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("S3: Deny of one action", S3, _with(_deny("kms:Decrypt", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("Aurora: Deny of grants", RDS, _with(_deny("kms:CreateGrant", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("S3: Deny by NotAction", S3, _with({
        "Sid": "Guard", "Effect": "Deny", "Principal": {"AWS": "{role}"}, "NotAction": "kms:DescribeKey",
        "Resource": "*"}), "policy.ExplicitDeny"),
    Case("S3: Deny of any use through a service", S3, _with(_deny(
        ["kms:GenerateDataKey*", "kms:Decrypt"], Condition={"Null": {"kms:ViaService": "false"}})),
        "policy.ExplicitDeny"),
    Case("S3: Deny outside an organisation, which the check cannot see", S3, _with(_deny("kms:*", Condition={
        "StringNotEquals": {"aws:PrincipalOrgID": "o-example1234", "aws:PrincipalAccount": "{customer}"}})),
        "policy.DenyCannotBeSaid", stops=None),
    Case("S3: a certain Deny next to an uncertain one", S3, _both(
        _with({**_deny("kms:*", Condition={"Bool": {"aws:SecureTransport": "false"}}), "Sid": "TLS"}),
        _with(_deny("kms:*", Condition=_OUTSIDERS))), "policy.ExplicitDeny"),
    Case("S3: an uncertain Deny and no Allow", S3, lambda _, __: [
        _deny("kms:*", Condition={"Bool": {"aws:SecureTransport": "false"}})], "policy.StatementMissing"),
    Case("S3: a Deny that exempts the role but not its account", S3, _with({
        "Sid": "Guard", "Effect": "Deny", "NotPrincipal": {"AWS": ["{role}", "arn:aws:iam::{customer}:root"]},
        "Action": "kms:*", "Resource": "*"}), "policy.DenyCannotBeSaid", stops=None),
    Case("S3: a Deny that exempts the role and its account", S3, _with({
        "Sid": "Guard", "Effect": "Deny", "NotPrincipal": {
            "AWS": ["{role}", "arn:aws:iam::{platform}:root", "arn:aws:iam::{customer}:root"]},
        "Action": "kms:*", "Resource": "*"}), None, stops=False),
    # Too wide.
    Case("S3: any service of the Region", S3, _set(0, "Condition", {"StringLike": {
        "kms:ViaService": "*.{region}.amazonaws.com"}, "StringEquals": {"aws:PrincipalAccount": "{platform}"}}),
        "policy.TooWide", stops=False),
    Case("S3: the role administers the key", S3, _with({
        "Sid": "Admin", "Effect": "Allow", "Principal": {"AWS": "{role}"},
        "Action": ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"], "Resource": "*"}), "policy.TooWide", stops=False),
    Case("Aurora: the role decrypts directly", RDS, _with({
        "Sid": "Decrypt", "Effect": "Allow", "Principal": {"AWS": "{role}"}, "Action": "kms:Decrypt",
        "Resource": "*"}), "policy.TooWide", stops=False),
)  # fmt: skip
