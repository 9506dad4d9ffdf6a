"""A catalogue of key policies, one for every way in which a policy can be wrong, and the first finding for each.

The policies are written for the Region and the role of a `PolicyContext`. Each case also states whether its policy
stops provisioning. The offline check, the local AWS emulator and a complete provisioning run must all agree with the
case.
"""

from typing import Final

from tests.condition_cases import CONDITION_CASES, OTHER_REGION
from tests.policy_changes import (
    RDS,
    S3,
    Case,
    adding,
    both,
    deny,
    for_any_principal,
    of_region,
    of_the_other_key,
    only,
    set_at,
    without,
)

_VIA = "Condition/StringEquals/kms:ViaService"
_ACCOUNT = "Condition/StringEquals/aws:PrincipalAccount"
_ROLE = "Principal/AWS"
_OUTSIDERS = {"StringNotEquals": {"aws:PrincipalAccount": "{customer}"}}
_WITHOUT_STARS = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt", "kms:GenerateDataKey", "kms:DescribeKey"]

POLICY_CASES: Final = (
    # Valid policies, for which the check must not report a blocking finding.
    Case("S3: valid", S3, only(0), None, stops=False),
    Case("Aurora: valid", RDS, only(0, 1), None, stops=False),
    Case("Aurora: statements in reverse order", RDS, only(1, 0), None, stops=False),
    Case("S3: one action as a string", S3, set_at(0, "Action", "kms:*"), None, stops=False),
    Case("S3: both keys' statements", S3, lambda ours, place: ours + place.build_statements(RDS), "policy.TooWide",
         stops=False),
    Case("Aurora: both keys' statements", RDS, lambda ours, place: ours + place.build_statements(S3), "policy.TooWide",
         stops=False),
    Case("S3: another Sid", S3, set_at(0, "Sid", "Platform"), None, stops=False),
    Case("S3: role in a list", S3, set_at(0, _ROLE, ["{role}"]), None, stops=False),
    Case("S3: values in lists", S3, set_at(0, _VIA, ["s3.{region}.amazonaws.com"]), None, stops=False),
    Case("S3: condition keys in lower case", S3, set_at(0, "Condition", {"StringEquals": {
        "KMS:viaservice": "s3.{region}.amazonaws.com", "AWS:principalaccount": "{platform}"}}), None, stops=False),
    Case("Aurora: Bool as a JSON boolean", RDS, set_at(1, "Condition/Bool", {"kms:GrantIsForAWSResource": True}), None,
         stops=False),
    Case("S3: a Deny for others", S3, adding(deny("kms:*", Condition={
        "StringNotEquals": {"aws:PrincipalAccount": ["{customer}", "{platform}"]}})), None, stops=False),
    Case("S3: a Deny of deletion", S3, adding(deny("kms:ScheduleKeyDeletion")), None, stops=False),
    # Missing statements.
    Case("S3: no statement", S3, lambda *_: [], "policy.StatementMissing"),
    Case("Aurora: no statement", RDS, lambda *_: [], "policy.StatementMissing"),
    Case("Aurora: no grants statement", RDS, only(0), "policy.StatementMissing"),
    Case("Aurora: no DescribeKey statement", RDS, only(1), "policy.StatementMissing"),
    Case("S3: statement of the Aurora key", S3, of_the_other_key, "policy.StatementOfTheOtherKey"),
    Case("Aurora: statement of the S3 key", RDS, of_the_other_key, "policy.StatementOfTheOtherKey"),
    # The principal.
    Case("S3: role of another account", S3, set_at(0, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform"),
         "policy.RoleOfAnotherAccount"),
    Case("Aurora: role of another account", RDS, both(
        set_at(0, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform"),
        set_at(1, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform")), "policy.RoleOfAnotherAccount"),
    Case("Aurora: role of another account, grants only", RDS,
         set_at(1, _ROLE, "arn:aws:iam::999988887777:role/AtaccamaPlatform"), "policy.RoleOfAnotherAccount"),
    Case("S3: the customer's own account", S3, set_at(0, _ROLE, "arn:aws:iam::{customer}:root"),
         "policy.RoleOfAnotherAccount"),
    Case("S3: another role of the platform", S3, set_at(0, _ROLE, "arn:aws:iam::{platform}:role/AnotherRole"),
         "policy.OtherRole"),
    Case("Aurora: another role of the platform", RDS, both(
        set_at(0, _ROLE, "arn:aws:iam::{platform}:role/AnotherRole"),
        set_at(1, _ROLE, "arn:aws:iam::{platform}:role/AnotherRole")), "policy.OtherRole"),
    Case("S3: a user of the platform", S3, set_at(0, _ROLE, "arn:aws:iam::{platform}:user/AtaccamaPlatform"),
         "policy.OtherRole"),
    Case("S3: orphaned principal", S3, set_at(0, _ROLE, "AROAEXAMPLEORPHAN1234"), "policy.OrphanedPrincipal",
         saved=False),
    Case("Aurora: orphaned principal", RDS, both(
        set_at(0, _ROLE, "AROAEXAMPLEORPHAN1234"), set_at(1, _ROLE, "AROAEXAMPLEORPHAN1234")),
        "policy.OrphanedPrincipal", saved=False),
    Case("S3: the role with another path", S3,
         set_at(0, _ROLE, "arn:aws:iam::{platform}:role/service/AtaccamaPlatform"), "policy.RoleSpelledDifferently",
         saved=False),
    Case("Aurora: the role in lower case, grants only", RDS,
         set_at(1, _ROLE, "arn:aws:iam::{platform}:role/ataccamaplatform"), "policy.RoleSpelledDifferently",
         saved=False),
    Case("S3: a session of the role", S3,
         set_at(0, _ROLE, "arn:aws:sts::{platform}:assumed-role/AtaccamaPlatform/deployment"),
           "policy.PrincipalIsASession"),
    Case("S3: NotPrincipal that names the role", S3, both(
        without(0, "Principal"), set_at(0, "NotPrincipal", {"AWS": "{role}"})), "policy.NotPrincipal"),
    Case("S3: a service as principal", S3, set_at(0, "Principal", {"Service": "s3.amazonaws.com"}),
         "policy.PrincipalIsAService"),
    Case("Aurora: a service as principal", RDS, both(
        set_at(0, "Principal", {"Service": "rds.amazonaws.com"}),
        set_at(1, "Principal", {"Service": "rds.amazonaws.com"})),
        "policy.PrincipalIsAService"),
    Case("S3: a service as principal, under another Sid", S3, both(
        set_at(0, "Principal", {"Service": "s3.amazonaws.com"}), set_at(0, "Sid", "S3")), "policy.PrincipalIsAService"),
    Case("S3: nothing but the owner's statement for a service", S3, lambda _, place: [
        {**for_any_principal(place, {"StringEquals": {
            "aws:SourceAccount": "{customer}", "kms:ViaService": "s3.{region}.amazonaws.com"}}),
         "Principal": {"Service": "s3.amazonaws.com"}}], "policy.StatementMissing"),
    Case("S3: NotPrincipal that allows the role", S3, both(
        without(0, "Principal"), set_at(0, "NotPrincipal", {"AWS": "arn:aws:iam::{customer}:root"})),
        "policy.TooWide", stops=False),
    Case("S3: any principal, limited to the platform's account", S3, set_at(0, "Principal", "*"),
         "policy.TooWide", stops=False),
    Case("S3: the platform's whole account", S3, set_at(0, _ROLE, "arn:aws:iam::{platform}:root"),
         "policy.TooWide", stops=False),
    # The condition on kms:ViaService.
    Case("S3: wrong Region", S3, of_region(OTHER_REGION), "policy.WrongRegionInViaService"),
    Case("Aurora: wrong Region", RDS, of_region(OTHER_REGION), "policy.WrongRegionInViaService"),
    Case("Aurora: wrong Region, grants only", RDS, set_at(1, _VIA, f"rds.{OTHER_REGION}.amazonaws.com"),
         "policy.WrongRegionInViaService"),
    Case("S3: no Region", S3, set_at(0, _VIA, "s3.amazonaws.com"), "policy.WrongRegionInViaService"),
    Case("S3: through RDS", S3, set_at(0, _VIA, "rds.{region}.amazonaws.com"), "policy.WrongServiceInViaService"),
    Case("Aurora: through S3", RDS, both(
        set_at(0, _VIA, "s3.{region}.amazonaws.com"), set_at(1, _VIA, "s3.{region}.amazonaws.com")),
        "policy.WrongServiceInViaService"),
    Case("Aurora: through EC2", RDS, set_at(1, _VIA, "ec2.{region}.amazonaws.com"), "policy.WrongServiceInViaService"),
    Case("S3: China's suffix", S3, set_at(0, _VIA, "s3.{region}.amazonaws.com.cn"), "policy.WrongServiceInViaService"),
    Case("S3: wildcard with StringEquals", S3, set_at(0, _VIA, "s3.*.amazonaws.com"), "policy.WrongRegionInViaService"),
    Case("S3: upper case", S3, set_at(0, _VIA, "S3.{region}.amazonaws.com"), "policy.WrongServiceInViaService"),
    Case("S3: placeholder left", S3, set_at(0, _VIA, "s3.${platformRegion}.amazonaws.com"), "policy.PlaceholderLeft"),
    Case("S3: placeholder in angle brackets left", S3, set_at(0, _VIA, "s3.<region>.amazonaws.com"),
         "policy.PlaceholderLeft"),
    Case("S3: StringNotEquals", S3, set_at(0, "Condition", {
        "StringNotEquals": {"kms:ViaService": "s3.{region}.amazonaws.com"}}), "policy.ConditionNotMet"),
    Case("S3: no ViaService", S3, without(0, _VIA), "policy.TooWide", stops=False),
    Case("Aurora: no ViaService", RDS, without(0, _VIA), "policy.TooWide", stops=False),
    Case("S3: every Region", S3, set_at(0, "Condition", {"StringLike": {
        "kms:ViaService": "s3.*.amazonaws.com"}, "StringEquals": {"aws:PrincipalAccount": "{platform}"}}),
        "policy.TooWide", stops=False),
    # The condition on aws:PrincipalAccount.
    Case("S3: the customer's account in the condition", S3, set_at(0, _ACCOUNT, "{customer}"), "policy.WrongAccount"),
    Case("Aurora: the customer's account in the condition", RDS, both(
        set_at(0, _ACCOUNT, "{customer}"), set_at(1, _ACCOUNT, "{customer}")), "policy.WrongAccount"),
    Case("S3: account with hyphens", S3, set_at(0, _ACCOUNT, "1111-2222-3333"), "policy.WrongAccount"),
    Case("S3: account's placeholder left", S3, set_at(0, _ACCOUNT, "${platformAccountId}"), "policy.PlaceholderLeft"),
    # The actions.
    Case("S3: stars missing", S3, set_at(0, "Action", _WITHOUT_STARS), "policy.StarMissing", stops=False),
    Case("S3: no GenerateDataKey", S3, set_at(0, "Action", ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]),
         "policy.ActionMissing"),
    Case("S3: no Decrypt", S3, set_at(0, "Action", ["kms:Encrypt", "kms:GenerateDataKey*"]), "policy.ActionMissing"),
    Case("S3: only actions needed later missing", S3, set_at(0, "Action", ["kms:GenerateDataKey*", "kms:Decrypt"]),
         "policy.ActionMissing", stops=False),
    Case("Aurora: no CreateGrant", RDS, set_at(1, "Action", ["kms:ListGrants", "kms:RevokeGrant"]),
         "policy.ActionMissing"),
    Case("Aurora: no RevokeGrant", RDS, set_at(1, "Action", ["kms:CreateGrant", "kms:ListGrants"]),
         "policy.ActionMissing", stops=False),
    Case("Aurora: DescribeKey statement with other actions", RDS, set_at(0, "Action", ["kms:ListGrants"]),
         "policy.ActionMissing"),
    Case("S3: actions of another service", S3, set_at(0, "Action", ["s3:*"]), "policy.ActionMissing"),
    Case("S3: NotAction", S3, both(without(0, "Action"), set_at(0, "NotAction", ["kms:GenerateDataKey*"])),
         "policy.NotAction"),
    # The resource.
    Case("S3: an alias as resource", S3, set_at(0, "Resource", "arn:aws:kms:{region}:{customer}:alias/byok"),
         "policy.ResourceNotStar"),
    Case("S3: a bucket as resource", S3, set_at(0, "Resource", "arn:aws:s3:::bucket/*"), "policy.ResourceNotStar"),
    Case("Aurora: a cluster as resource", RDS, set_at(1, "Resource", "arn:aws:rds:{region}:{platform}:cluster:*"),
         "policy.ResourceNotStar"),
    # Incomplete statements, which have no effect and which only the policies of older keys can contain (KMS API
    # reference, PutKeyPolicy).
    Case("S3: no Resource", S3, without(0, "Resource"), "policy.ResourceNotStar", saved=False),
    Case("Aurora: no Resource on grants", RDS, without(1, "Resource"), "policy.ResourceNotStar", saved=False),
    Case("S3: no Action", S3, without(0, "Action"), "policy.ActionMissing", saved=False),
    Case("Aurora: no Action on DescribeKey", RDS, without(0, "Action"), "policy.ActionMissing", saved=False),
    # Grants.
    Case("Aurora: Bool false", RDS, set_at(1, "Condition/Bool", {"kms:GrantIsForAWSResource": "false"}),
         "policy.WrongGrantCondition"),
    Case("Aurora: Bool missing", RDS, without(1, "Condition/Bool"), "policy.TooWide", stops=False),
    Case("Aurora: Bool on DescribeKey, too", RDS,
         set_at(0, "Condition/Bool", {"kms:GrantIsForAWSResource": "true"}), "policy.WrongGrantCondition"),
    *CONDITION_CASES,
    # Statements for the customer's principals, which the check must not mistake for broken statements for the platform.
    Case("S3: nothing but a statement for the owner's account", S3, lambda _, place: [
        for_any_principal(place, {"StringEquals": {"kms:CallerAccount": "{customer}"}})], "policy.StatementMissing"),
    Case("S3: nothing but the owner's use through S3", S3, lambda _, place: [
        for_any_principal(place, {"StringEquals": {
            "kms:CallerAccount": "{customer}", "kms:ViaService": "s3.{region}.amazonaws.com"}})],
        "policy.StatementMissing"),
    Case("S3: nothing but the owner's account through S3", S3, lambda _, place: [
        {**for_any_principal(place, {"StringEquals": {"kms:ViaService": "s3.{region}.amazonaws.com"}}),
         "Principal": {"AWS": f"arn:aws:iam::{place.customer}:root"}}], "policy.StatementMissing"),
    # Statements that deny a call.
    Case("S3: Effect Deny", S3, set_at(0, "Effect", "Deny"), "policy.ExplicitDeny"),
    Case("Aurora: Effect Deny on grants", RDS, set_at(1, "Effect", "Deny"), "policy.ExplicitDeny"),
    Case("S3: Deny for all outsiders", S3, adding(deny("kms:*", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("Aurora: Deny for all outsiders", RDS, adding(deny("kms:*", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("S3: Deny of one action", S3, adding(deny("kms:Decrypt", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("Aurora: Deny of grants", RDS, adding(deny("kms:CreateGrant", Condition=_OUTSIDERS)), "policy.ExplicitDeny"),
    Case("S3: Deny by NotAction", S3, adding({
        "Sid": "Guard", "Effect": "Deny", "Principal": {"AWS": "{role}"}, "NotAction": "kms:DescribeKey",
        "Resource": "*"}), "policy.ExplicitDeny"),
    Case("S3: Deny of any use through a service", S3, adding(deny(
        ["kms:GenerateDataKey*", "kms:Decrypt"], Condition={"Null": {"kms:ViaService": "false"}})),
        "policy.ExplicitDeny"),
    Case("S3: Deny outside an organisation, which the check cannot see", S3, adding(deny("kms:*", Condition={
        "StringNotEquals": {"aws:PrincipalOrgID": "o-example1234", "aws:PrincipalAccount": "{customer}"}})),
        "policy.DenyCannotBeSaid", stops=None),
    Case("S3: a certain Deny next to an uncertain one", S3, both(
        adding({**deny("kms:*", Condition={"Bool": {"aws:SecureTransport": "false"}}), "Sid": "TLS"}),
        adding(deny("kms:*", Condition=_OUTSIDERS))), "policy.ExplicitDeny"),
    Case("S3: an uncertain Deny and no Allow", S3, lambda _, __: [
        deny("kms:*", Condition={"Bool": {"aws:SecureTransport": "false"}})], "policy.StatementMissing"),
    Case("S3: a Deny that exempts the role but not its account", S3, adding({
        "Sid": "Guard", "Effect": "Deny", "NotPrincipal": {"AWS": ["{role}", "arn:aws:iam::{customer}:root"]},
        "Action": "kms:*", "Resource": "*"}), "policy.DenyCannotBeSaid", stops=None),
    Case("S3: a Deny that exempts the role and its account", S3, adding({
        "Sid": "Guard", "Effect": "Deny", "NotPrincipal": {
            "AWS": ["{role}", "arn:aws:iam::{platform}:root", "arn:aws:iam::{customer}:root"]},
        "Action": "kms:*", "Resource": "*"}), "policy.DenyCannotBeSaid", stops=None),
    Case("S3: a Deny that exempts one session, the role and its account", S3, adding({
        "Sid": "Guard", "Effect": "Deny", "NotPrincipal": {"AWS": [
            "arn:aws:sts::{platform}:assumed-role/AtaccamaPlatform/worker", "{role}", "arn:aws:iam::{platform}:root"]},
        "Action": "kms:*", "Resource": "*"}), "policy.DenyCannotBeSaid", stops=None),
    Case("S3: a Deny that exempts only the role's account", S3, adding({
        "Sid": "Guard", "Effect": "Deny", "NotPrincipal": {
            "AWS": ["arn:aws:iam::{platform}:root", "arn:aws:iam::{customer}:root"]},
        "Action": "kms:*", "Resource": "*"}), "policy.DenyCannotBeSaid", stops=None),
    Case("S3: a Deny that exempts only the owner", S3, adding({
        "Sid": "Guard", "Effect": "Deny", "NotPrincipal": {"AWS": ["arn:aws:iam::{customer}:root"]},
        "Action": "kms:*", "Resource": "*"}), "policy.ExplicitDeny"),
    # Statements that allow too much.
    Case("S3: any service of the Region", S3, set_at(0, "Condition", {"StringLike": {
        "kms:ViaService": "*.{region}.amazonaws.com"}, "StringEquals": {"aws:PrincipalAccount": "{platform}"}}),
        "policy.TooWide", stops=False),
    Case("S3: the role administers the key", S3, adding({
        "Sid": "Admin", "Effect": "Allow", "Principal": {"AWS": "{role}"},
        "Action": ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"], "Resource": "*"}), "policy.TooWide", stops=False),
    Case("Aurora: the role decrypts directly", RDS, adding({
        "Sid": "Decrypt", "Effect": "Allow", "Principal": {"AWS": "{role}"}, "Action": "kms:Decrypt",
        "Resource": "*"}), "policy.TooWide", stops=False),
)  # fmt: skip
