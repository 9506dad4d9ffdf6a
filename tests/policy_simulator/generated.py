"""Hypothesis strategies for policies, and the calls for which the policies are evaluated.

The policies can contain every kind of element that matters for these calls. The strategies choose from a small set of
values that resemble the values in the calls, so that about half of the generated statements apply.
"""

from typing import Any, Final

from hypothesis import strategies as st

from byok.domain.iam.evaluator import AccessRequest, CallingPrincipal
from byok.domain.iam.statements import via_service_value
from localaws.kms.authorization import KeyUse

REGION: Final = "eu-central-1"
PLATFORM, CUSTOMER, STRANGER = "111122223333", "444455556666", "999988887777"
KEY_ARN: Final = f"arn:aws:kms:{REGION}:{CUSTOMER}:key/11111111-1111-4111-8111-111111111111"
BUCKET_ARN: Final = "arn:aws:s3:::byok-acme-files"
S3, RDS = via_service_value("s3", REGION), via_service_value("rds", REGION)


def role_session(account: str, role: str) -> CallingPrincipal:
    """Return a principal that is a session of a role."""
    return CallingPrincipal(
        f"arn:aws:sts::{account}:assumed-role/{role}/worker", account, f"arn:aws:iam::{account}:role/{role}"
    )


CALLERS: Final = [
    role_session(PLATFORM, "AtaccamaPlatform"),
    role_session(PLATFORM, "Other"),
    role_session(CUSTOMER, "KeyUser"),
    CallingPrincipal(f"arn:aws:iam::{CUSTOMER}:user/KeyAdministrator", CUSTOMER),
    role_session(STRANGER, "AtaccamaPlatform"),
]
_IN_S3: Final = (("aws:s3:arn", BUCKET_ARN),)
_IN_RDS: Final = (("aws:rds:dbc-id", "cluster-ACME"),)


def _uses(caller: CallingPrincipal) -> list[KeyUse]:
    """Return all key uses that the tests evaluate for a caller: through S3, through RDS, and directly."""
    through_s3 = [
        KeyUse(caller, f"kms:{action}", REGION, via=S3, context=_IN_S3) for action in ("GenerateDataKey", "Decrypt")
    ]
    through_rds = [
        KeyUse(caller, "kms:DescribeKey", REGION, via=RDS),
        *(
            KeyUse(caller, f"kms:{action}", REGION, via=RDS, for_aws_resource=True, context=_IN_RDS)
            for action in ("CreateGrant", "ListGrants", "RevokeGrant")
        ),
    ]
    direct = [
        KeyUse(caller, f"kms:{action}", REGION)
        for action in ("GenerateDataKey", "Decrypt", "DescribeKey", "CreateGrant", "ListGrants", "RevokeGrant")
    ]
    return [*through_s3, *through_rds, *direct]


def _access(use: KeyUse) -> AccessRequest:
    names = {"kms:EncryptionContextKeys": [name for name, _ in use.context]} if use.context else {}
    return AccessRequest(use.caller, use.action, KEY_ARN, {**use.condition_keys, **names})


ACCESS_REQUESTS: Final = [_access(use) for caller in CALLERS for use in _uses(caller)]


def one_or_many(items: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str | list[str]]:
    """Return a strategy that draws one item, or a list of one to `most` items."""
    return items | st.lists(items, min_size=1, max_size=most, unique=True)


# The principals that a statement can contain.
_PRINCIPALS: Final = st.sampled_from(
    [
        f"arn:aws:iam::{PLATFORM}:root",
        f"arn:aws:iam::{CUSTOMER}:root",
        PLATFORM,
        CUSTOMER,
        *(arn for caller in CALLERS for arn in (caller.arn, caller.role_arn) if arn),
    ]
)
_NOBODY_OF_OURS: Final = {"Service": "logs.amazonaws.com"}
_FOR: Final = st.one_of(
    st.sampled_from([{"Principal": "*"}, {"Principal": {"AWS": "*"}}, {"Principal": _NOBODY_OF_OURS}]),
    st.builds(lambda who: {"Principal": {"AWS": who}}, one_or_many(_PRINCIPALS)),
    st.builds(lambda who: {"Principal": {"AWS": who, **_NOBODY_OF_OURS}}, one_or_many(_PRINCIPALS)),
    st.builds(lambda who: {"NotPrincipal": {"AWS": who}}, one_or_many(_PRINCIPALS)),
)

# The actions that a statement can contain.
_ACTIONS: Final = st.sampled_from(
    [
        *("kms:*", "KMS:*", "kms:Decrypt", "kms:decrypt", "kms:GenerateDataKey*", "kms:GenerateDataKe?", "kms:De*"),
        *("kms:DescribeKey", "kms:?escribeKey", "kms:*Grant", "kms:*Grants", "kms:CreateGrant", "kms:*Key*"),
        *("Kms:LISTGRANTS", "kms:RevokeGrant", "kms:Encrypt", "s3:PutObject", "rds:*"),
    ]
)
_ANY_ACTION: Final = one_or_many(_ACTIONS) | st.just("*")
_ABOUT: Final = st.builds(lambda name, value: {name: value}, st.sampled_from(["Action", "NotAction"]), _ANY_ACTION)
# Every resource is a complete ARN. In AWS, a `*` at the end of a part may "expand to match beyond the colon boundaries"
# (IAM user guide, "Using wildcards in resource ARNs"). In the simulator, a `*` does not match beyond a colon, and
# wildcards before the slash are not supported.
_RESOURCES: Final = st.sampled_from(
    [
        *(KEY_ARN, KEY_ARN.replace(REGION, "eu-west-1"), KEY_ARN.replace("1111-4", "2222-4"), BUCKET_ARN),
        *(f"arn:aws:kms:*:{CUSTOMER}:key/*", f"arn:aws:kms:{REGION}:{PLATFORM}:key/*", "arn:aws:kms:*:*:key/1*"),
        *("arn:aws:kms:*:*:alias/*", f"arn:aws:kms:{REGION}:{CUSTOMER}:key/????????-*"),
        *(f"arn:aws:kms:*:{CUSTOMER}:key/${{aws:username}}", "arn:aws:kms:*:*:key/${aws:username, '1111'}*"),
        "arn:aws:kms:*:*:key/${*}",
    ]
)
# A policy variable that has no value in any of the generated requests.
_NO_VALUE: Final = "${aws:username}"
_ON: Final = st.one_of(
    *[st.just({"Resource": "*"})] * 2,
    st.builds(lambda resources: {"Resource": resources}, one_or_many(_RESOURCES)),
    # In the simulator, a NotResource whose variable has no value excludes every resource. In AWS, such a NotResource
    # "will not match any resource", so it excludes no resource (IAM user guide, "Policy variables with no value").
    st.builds(
        lambda resources: {"NotResource": resources}, one_or_many(_RESOURCES.filter(lambda one: _NO_VALUE not in one))
    ),
)

# The values that a condition may require for each condition key. Some keys are spelt as in AWS's documentation; others
# use different capitalization.
_VALUES: Final[dict[str, list[str]]] = {
    "kms:ViaService": [S3, RDS, via_service_value("s3", "eu-west-1"), "s3.*.amazonaws.com", "*.amazonaws.com", "RDS.*"],
    "KMS:viaservice": [S3, RDS.upper(), "???.*"],
    "aws:PrincipalAccount": [PLATFORM, CUSTOMER, "1111*", "${kms:CallerAccount}", "${aws:username}"],
    "kms:CallerAccount": [PLATFORM, CUSTOMER, STRANGER, "${aws:PrincipalAccount}", f"${{aws:userid, '{PLATFORM}'}}"],
    "kms:EncryptionContext:aws:s3:arn": [BUCKET_ARN, "arn:aws:s3:::byok-*", "arn:aws:s3:::${aws:username}-*", "${*}"],
    "kms:EncryptionContext:aws:rds:dbc-id": ["cluster-ACME", "cluster-acme", "cluster-*", "cluster${$}ACME"],
    "aws:PrincipalArn": [
        *(f"arn:aws:iam::{PLATFORM}:role/AtaccamaPlatform", f"arn:aws:iam::{CUSTOMER}:user/*", "arn:aws:iam::*:role/*"),
        *(f"arn:aws:iam::{PLATFORM}:*", "arn:aws:iam::${kms:CallerAccount}:role/Ata?camaPlatform"),
    ],
    "aws:PrincipalOrgID": ["o-1234567890", "*"],
    "aws:username": ["KeyAdministrator", "*"],
}
_OF_TEXT: Final = st.sampled_from(
    [
        *("StringEquals", "StringNotEquals", "StringLike", "StringNotLike"),
        *("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    ]
)
_OF_ARNS: Final = st.sampled_from(["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"])
_QUANTIFIERS: Final = ("ForAnyValue:", "ForAllValues:")


@st.composite
def _tests(draw: st.DrawFn) -> tuple[str, str, Any]:
    """Draw an operator, a condition key and the values that the condition requires."""
    kind = draw(st.sampled_from(["text", "text", "text", "arn", "bool", "null", "many"]))
    if_exists = draw(st.sampled_from(["", "", "IfExists"]))
    if kind == "bool":
        key = draw(st.sampled_from(["kms:GrantIsForAWSResource", "kms:grantisforawsresource"]))
        return f"Bool{if_exists}", key, draw(one_or_many(st.sampled_from(["true", "false", "True"])))
    if kind == "null":
        key = draw(st.sampled_from([*_VALUES, "kms:GrantIsForAWSResource"]))
        return "Null", key, draw(one_or_many(st.sampled_from(["true", "false"])))
    if kind == "many":
        # A multivalued key needs a quantifier (IAM user guide, "Single-valued vs. multivalued context keys").
        names = st.sampled_from(["aws:s3:arn", "aws:rds:dbc-id", "aws:*", "other"])
        return (
            draw(st.sampled_from(_QUANTIFIERS)) + draw(_OF_TEXT),
            "kms:EncryptionContextKeys",
            draw(one_or_many(names)),
        )
    operator = draw(_OF_ARNS if kind == "arn" else _OF_TEXT)
    # A negated ARN operator gets only ARNs, because AWS does not document its result for a value that is not an ARN.
    of_arns = ["aws:PrincipalArn"] if "Not" in operator else ["aws:PrincipalArn", "kms:ViaService"]
    key = draw(st.sampled_from(of_arns if kind == "arn" else list(_VALUES)))
    quantifier = draw(st.sampled_from(("", "", "", *_QUANTIFIERS)))
    if quantifier == "ForAnyValue:":
        # The simulator ignores ...IfExists after ForAnyValue. In AWS, every operator except Null supports ...IfExists:
        # "If the key is not present, evaluate the condition element as true" (IAM user guide, "...IfExists condition
        # operators").
        if_exists = ""
    return f"{quantifier}{operator}{if_exists}", key, draw(one_or_many(st.sampled_from(_choices(operator, key))))


def _choices(operator: str, key: str) -> list[str]:
    """Return the values to choose from, without the values that the simulator evaluates incorrectly."""
    values = _VALUES[key]
    if operator.startswith("Arn"):
        # The simulator splits a pattern at the colon in a variable's name. AWS supports variables in ARN patterns. The
        # IAM user guide says, "You can use a policy variable with the ARN condition operator" ("ARN condition
        # operators").
        values = [value for value in values if "${" not in value]
    if "Not" in operator:
        # In the simulator, an inverted operator never matches a variable that has no value. In AWS, an
        # inverted operator matches such a variable. The IAM user guide says, "Inverted condition operators like
        # StringNotEquals or StringNotLike do match against a null value" ("Policy variables with no value").
        values = [value for value in values if _NO_VALUE not in value]
    return values


@st.composite
def _conditions(draw: st.DrawFn) -> dict[str, Any]:
    block: dict[str, dict[str, Any]] = {}
    for operator, key, wanted in draw(st.lists(_tests(), max_size=2)):
        block.setdefault(operator, {})[key] = wanted
    return {"Condition": block} if block else {}


@st.composite
def _statements(draw: st.DrawFn, *, with_principals: bool) -> dict[str, Any]:
    return {
        # Make Deny rarer than Allow, because an explicit deny overrides every other statement.
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        **(draw(_FOR) if with_principals else {}),
        **draw(_ABOUT),
        **draw(_ON),
        **draw(_conditions()),
    }


def policy_strategy(*, with_principals: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for key policies, whose statements specify principals, or for identity policies.

    All policies have the `Version` 2012-10-17. The simulator replaces variables in policies with an older version as
    well, but AWS does not. In AWS, variables in a policy with an earlier version "are treated as literal strings" (IAM
    user guide, "IAM JSON policy elements: Version").
    """
    statements = st.lists(_statements(with_principals=with_principals), min_size=1, max_size=3)
    return st.builds(lambda found: {"Version": "2012-10-17", "Statement": found}, statements)


ALLOW_ALL_POLICY: Final = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
KEY_POLICY_STRATEGY: Final = policy_strategy(with_principals=True)
# Half of the identity policies allow everything, because cross-account access also needs permission from the identity
# policy. If no identity policy allowed everything, almost every call would be denied.
IDENTITY_POLICIES_STRATEGY: Final = st.lists(
    st.just(ALLOW_ALL_POLICY) | policy_strategy(with_principals=False), max_size=2
)
