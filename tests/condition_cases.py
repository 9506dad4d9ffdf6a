"""The cases in the policy catalogue in which byok's own statement has additional conditions."""

from typing import Final

from tests.policy_changes import RDS, S3, Case, adding, both, deny, for_any_principal, set_at

PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
OTHER_REGION: Final = "eu-west-1"
_VIA = "Condition/StringEquals/kms:ViaService"
_CONTEXT = "kms:EncryptionContext:aws:s3:arn"
_OUTSIDERS = {"StringNotEquals": {"aws:PrincipalAccount": "{customer}"}}

CONDITION_CASES: Final = (
    # Condition keys that are present only in calls by service principals, or that identify a role.
    Case("S3: aws:SourceAccount, which only services send", S3,
         set_at(0, "Condition/StringEquals/aws:SourceAccount", "{platform}"), "policy.Tightened"),
    Case("Aurora: aws:SourceArn, which only services send", RDS,
         set_at(1, "Condition/ArnLike", {"aws:SourceArn": "arn:aws:rds:{region}:{platform}:cluster:*"}),
         "policy.Tightened"),
    Case("S3: another role in aws:PrincipalArn", S3,
         set_at(0, "Condition/ArnEquals", {"aws:PrincipalArn": "arn:aws:iam::{platform}:role/AnotherRole"}),
         "policy.Tightened"),
    Case("S3: the role in aws:PrincipalArn", S3,
         set_at(0, "Condition/ArnEquals", {"aws:PrincipalArn": "{role}"}), "policy.Tightened", stops=False),
    Case("S3: a wrong Region next to an added condition", S3, both(
        set_at(0, _VIA, f"s3.{OTHER_REGION}.amazonaws.com"), set_at(0, "Condition/ArnEquals", {
            "aws:PrincipalArn": "arn:aws:iam::{platform}:role/AnotherRole"})), "policy.WrongRegionInViaService"),
    # Networks: S3 and RDS call KMS on the role's behalf, from their own addresses.
    Case("S3: an address of the platform", S3, set_at(0, "Condition/IpAddress", {"aws:SourceIp": "203.0.113.0/24"}),
         "policy.Tightened"),
    Case("Aurora: an address of the platform, grants only", RDS,
         set_at(1, "Condition/IpAddress", {"aws:SourceIp": ["203.0.113.0/24"]}), "policy.Tightened"),
    Case("S3: any address but one", S3, set_at(0, "Condition/NotIpAddress", {"aws:SourceIp": "203.0.113.0/24"}),
         "policy.Tightened", stops=False),
    Case("S3: every address, if AWS sends one", S3, set_at(0, "Condition/IpAddress", {"aws:SourceIp": "0.0.0.0/0"}),
         "policy.Tightened", stops=None),
    Case("S3: an address, if AWS sends one", S3, set_at(0, "Condition/IpAddressIfExists", {
        "aws:SourceIp": "203.0.113.0/24"}), "policy.Tightened", stops=None),
    Case("S3: calls by a service", S3, set_at(0, "Condition/Bool", {"aws:ViaAWSService": "true"}), "policy.Tightened",
         stops=False),
    # The encryption context is the object's ARN for the probe, and the bucket's ARN for the environment's buckets.
    Case("S3: only objects", S3, set_at(0, "Condition/StringLike", {_CONTEXT: "arn:aws:s3:::*/*"}), "policy.Tightened"),
    Case("S3: only one bucket", S3, set_at(0, "Condition/StringLike", {_CONTEXT: "arn:aws:s3:::plain-bucket"}),
         "policy.Tightened"),
    Case("S3: every bucket and object", S3, set_at(0, "Condition/ArnLike", {_CONTEXT: "arn:aws:s3:::*"}),
         "policy.Tightened", stops=False),
    Case("S3: the platform's buckets and objects", S3, set_at(0, "Condition/StringLike", {
        _CONTEXT: ["arn:aws:s3:::byok-*", "arn:aws:s3:::byok-*/*"]}), "policy.Tightened", stops=False),
    Case("S3: objects in one statement, buckets in another", S3, lambda ours, _: [
        {**ours[0], "Sid": sid, "Condition": ours[0]["Condition"] | {operator: {_CONTEXT: "arn:aws:s3:::*/*"}}}
        for operator, sid in (("StringLike", "Objects"), ("StringNotLike", "Buckets"))], "policy.Tightened",
        stops=False),
    Case("S3: every bucket and object but those of another vendor", S3, set_at(0, "Condition/StringNotLike", {
        _CONTEXT: "arn:aws:s3:::globex-*"}), "policy.Tightened", stops=False),
    Case("S3: no bucket and no object", S3, set_at(0, "Condition/StringNotLike", {_CONTEXT: "arn:aws:s3:::*"}),
         "policy.Tightened"),
    Case("S3: buckets whose names the check cannot know", S3, set_at(0, "Condition/StringLike", {
        _CONTEXT: "arn:aws:s3:::byok-acme-*"}), "policy.Tightened", stops=None),
    Case("S3: an encryption context that S3 does not send", S3,
         set_at(0, "Condition/StringEquals/kms:EncryptionContext:tenant", "acme"), "policy.Tightened", stops=None),
    Case("Aurora: an encryption context on DescribeKey", RDS,
         set_at(0, "Condition/StringEquals/kms:EncryptionContext:aws:rds:db-id", "db-1"), "policy.Tightened"),
    Case("S3: a Deny of use outside one bucket", S3, adding(deny("kms:*", Condition={
        "StringNotLike": {_CONTEXT: ["arn:aws:s3:::plain-bucket", "arn:aws:s3:::plain-bucket/*"]},
        "StringEquals": {"aws:PrincipalAccount": "{platform}"}})), "policy.ExplicitDeny"),
    # Dates: the result depends on the current time.
    Case("S3: until a past date", S3, set_at(0, "Condition/DateLessThan", {"aws:CurrentTime": PAST}),
         "policy.Tightened"),
    Case("S3: until a future date", S3, set_at(0, "Condition/DateLessThan", {"aws:CurrentTime": FUTURE}),
         "policy.Tightened", stops=False),
    Case("Aurora: from a future date, grants only", RDS,
         set_at(1, "Condition/DateGreaterThanEquals", {"aws:CurrentTime": FUTURE}), "policy.Tightened"),
    Case("Aurora: since a past second of the epoch", RDS, both(
        set_at(0, "Condition/NumericGreaterThan", {"aws:EpochTime": "1577836800"}),
        set_at(1, "Condition/DateGreaterThan", {"aws:EpochTime": "1577836800"})), "policy.Tightened", stops=False),
    Case("S3: a Deny from a future date", S3, adding(deny("kms:*", Condition={
        **_OUTSIDERS, "DateGreaterThan": {"aws:CurrentTime": FUTURE}})), None, stops=False),
    Case("S3: a Deny since a past date", S3, adding(deny("kms:*", Condition={
        **_OUTSIDERS, "DateGreaterThan": {"aws:CurrentTime": PAST}})), "policy.ExplicitDeny"),
    Case("S3: an organisation, which the check cannot see", S3,
         set_at(0, "Condition/StringEquals/aws:PrincipalOrgID", "o-example1234"), "policy.Tightened", stops=None),
    Case("Aurora: grant operations, which only RDS chooses", RDS,
         set_at(1, "Condition/ForAllValues:StringEquals", {"kms:GrantOperations": ["Decrypt"]}), "policy.Tightened",
         stops=None),
    Case("S3: not of an organisation, which the check cannot see", S3,
         set_at(0, "Condition/StringNotEquals", {"aws:PrincipalOrgID": "o-example1234"}), "policy.Tightened",
         stops=None),
    Case("S3: a VPC endpoint, if present", S3,
         set_at(0, "Condition/StringEqualsIfExists", {"aws:SourceVpce": "vpce-1"}), "policy.Tightened", stops=None),
    Case("S3: no encryption context, although S3 sends one", S3,
         set_at(0, "Condition/Null", {_CONTEXT: "true"}), "policy.Tightened"),
    Case("S3: an unknown operator", S3,
         set_at(0, "Condition/StringIs", {"aws:PrincipalAccount": "{platform}"}), "policy.CannotBeSaid", stops=None),
    Case("S3: nothing but an organisation's own statement", S3, lambda _, place: [
        for_any_principal(place, {"StringEquals": {"aws:PrincipalOrgID": "o-example1234"}})], "policy.CannotBeSaid",
        stops=None),
)  # fmt: skip
