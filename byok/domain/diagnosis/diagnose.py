"""The diagnosis of two keys from what their owner can see of them, most likely cause first.

The owner collects the facts with a script of plain AWS commands (`byok.domain.diagnosis.key_facts` reads them); the
platform itself could never ask for them: it may use the keys through S3 and RDS alone. What was not seen is said,
nothing is concluded from it, and keys of which anything was not seen are never called right.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from byok.domain.arns import InvalidKeyArnError, KeyPair, KeyPurpose, account_id_of_role, check_key_arns, parse_key_arn
from byok.domain.diagnosis.key_facts import CollectedKey, CollectedKeys, KeyMetadata
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.document import PolicyDocumentError, parse_policy
from byok.domain.iam.check.near_misses import DenialCause
from byok.domain.iam.check.report import check_policy, invalid_document_report
from byok.domain.iam.findings import Finding, Severity
from byok.domain.problems.remediation import Remedy, RemedyContext, build_arn_remediation, build_remediation
from byok.domain.tenant import InvalidTenantNameError, TenantLabels
from byok.domain.vendor import TENANT_PLACEHOLDER, VendorProfile


@dataclass(frozen=True)
class _KeyContext:
    """One key with what is needed to speak of it."""

    which: KeyPurpose
    facts: CollectedKey
    collection: CollectedKeys
    vendor: VendorProfile

    @property
    def subject(self) -> RemedyContext:
        """Whom an advice is about."""
        return RemedyContext(
            self.collection.region, self.collection.platform_role_arn, self.vendor, self.which, self.facts.arn
        )

    @property
    def account(self) -> str | None:
        """The account that the key is in."""
        try:
            return parse_key_arn(self.facts.arn).account
        except InvalidKeyArnError:
            return None

    @property
    def is_visible(self) -> bool:
        """Whether all was seen that it takes to call the key right."""
        return self.facts.metadata is not None and self.facts.key_policy.policy is not None

    def finding(self, code: str, message: str, remedy: Remedy | str, severity: Severity = Severity.STOPS) -> Finding:
        """A finding about this key."""
        words = build_remediation(remedy, self.subject) if isinstance(remedy, Remedy) else remedy
        return Finding(code, self.which, severity, message, words)


def diagnose_collected_keys(collection: CollectedKeys, vendor: VendorProfile) -> tuple[Finding, ...]:
    """Everything that is wrong with the two keys, most likely cause first; empty where nothing is."""
    findings = list(_arn_findings(collection, vendor))
    # Of a key that has to be replaced, nothing else is worth saying.
    replaced = {finding.key for finding in findings}
    keys = [
        _KeyContext(which, collection.key(which), collection, vendor) for which in KeyPurpose if which not in replaced
    ]
    unseen = [key for key in keys if not key.is_visible]
    findings += _caller_findings(collection, unseen)
    explained = {key.which for key in unseen if _caller_explains_it(collection, key)}
    for key in keys:
        findings += _key_findings(key, explained=key.which in explained)
    if _are_exchanged(findings):
        findings = [finding for finding in findings if finding.code not in _OF_EXCHANGE]
        findings.insert(0, _exchange_finding(collection))
    findings += _tenant_findings(collection, vendor)
    # Python's sort keeps the order of what ranks equal: ARNs, then the key itself, then its policy.
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))


def are_keys_usable(findings: Iterable[Finding]) -> bool | None:
    """Whether the keys can be used, as far as it shows; None where that cannot be said."""
    severities = {finding.severity for finding in findings}
    if Severity.STOPS in severities:
        return False
    return None if Severity.UNKNOWN in severities else True


_OF_EXCHANGE: Final = {DenialCause.OTHER_KEYS_STATEMENT.value}


def _are_exchanged(findings: list[Finding]) -> bool:
    """Whether each key has the other one's statements: then it is the ARNs that are wrong, and not the policies."""
    return {finding.key for finding in findings if finding.code in _OF_EXCHANGE} == set(KeyPurpose)


def _exchange_finding(collection: CollectedKeys) -> Finding:
    return Finding(
        "arn.Exchanged",
        None,
        Severity.STOPS,
        "Each of the two keys has the statements of the other one: the two ARNs seem to be exchanged.",
        f"Give {collection.rds.arn} as {KeyPurpose.S3.field_label}, "
        f"and {collection.s3.arn} as {KeyPurpose.RDS.field_label}.",
    )


def _arn_findings(collection: CollectedKeys, vendor: VendorProfile) -> Iterator[Finding]:
    role = collection.platform_role_arn
    for found in check_key_arns(
        KeyPair(collection.s3.arn, collection.rds.arn), collection.region, account_id_of_role(role)
    ):
        subject = RemedyContext(collection.region, role, vendor, found.which, found.arn)
        yield Finding(
            found.fault.value, found.which, Severity.STOPS, found.message, build_arn_remediation(found.fault, subject)
        )


def _caller_explains_it(collection: CollectedKeys, key: _KeyContext) -> bool:
    """Whether it is the caller, and not a permission, that explains why a key was not seen."""
    caller = collection.caller
    return caller.error is not None or (caller.account is not None and caller.account != key.account)


def _caller_findings(collection: CollectedKeys, unseen: list[_KeyContext]) -> Iterator[Finding]:
    """Why keys could not be looked at, where that is because of who ran the script; one finding for both keys."""
    caller, unseen = collection.caller, [key for key in unseen if _caller_explains_it(collection, key)]
    if not unseen:
        return
    which = unseen[0].which if len(unseen) == 1 else None
    # Keys of two accounts are found by their ARNs, and are not looked at here.
    there, keys = unseen[0].account, unseen[0].which.display_name if which else "keys"
    if caller.error is not None:
        yield Finding(
            "caller.NotSignedIn",
            which,
            Severity.UNKNOWN,
            f"The {keys} could not be looked at: the AWS CLI is missing where the script was run, or has no "
            f"credentials there. It said: {caller.error}",
            f"The easiest place to run it is AWS CloudShell: sign in to the AWS console of account {there}, choose the "
            "terminal sign at the top, and run the script there. Anywhere else, the AWS CLI has to be installed and "
            "this has to print your account (byok stands for your AWS CLI profile of that account):\n"
            "  export AWS_PROFILE=byok\n  aws sts get-caller-identity\n"
            "Then run the script again, and send everything it prints.",
        )
    else:
        yield Finding(
            "caller.OtherAccount",
            which,
            Severity.UNKNOWN,
            f"The script was run in account {caller.account}; the {keys} {'is' if which else 'are'} in account "
            f"{there}, and could not be looked at from outside it.",
            f"Sign in to account {there}, in the AWS console for CloudShell or with an AWS CLI profile of it, and run "
            "the script again there. If that is not an account of yours, an ARN is wrong: copy both again.",
        )


def _key_findings(key: _KeyContext, *, explained: bool) -> Iterator[Finding]:
    about_the_key = list(_metadata_findings(key))
    yield from about_the_key
    if {finding.code for finding in about_the_key} & _NOT_THIS_KEY:
        return
    if not explained and not about_the_key and not key.is_visible:
        yield _not_seen(key)
    yield from _policy_findings(key)
    yield from _note_findings(key)


_NOT_THIS_KEY: Final = {"key.NotFound", "key.OfAnotherArn", "key.ManagedByAws", "key.WrongKind"}
"""With these, another key has to be given, or nothing that was collected is about this one."""


def _metadata_findings(key: _KeyContext) -> Iterator[Finding]:
    facts, arn = key.facts.metadata, key.facts.arn
    if facts is None:
        error = key.facts.describe_key.error or ""
        if "NotFoundException" in error and not _caller_explains_it(key.collection, key):
            yield key.finding("key.NotFound", f"There is no such key. AWS said: {error}", Remedy.CHECK_ARN)
        return
    if facts.arn is not None and facts.arn != arn:
        yield key.finding(
            "key.OfAnotherArn",
            f"What was collected is about the key {facts.arn}, and the ARN that was given is {arn}.",
            "Run the script again with the ARN that is meant, and send everything it prints as it is.",
            Severity.UNKNOWN,
        )
    elif facts.key_manager == "AWS":
        made = f" ({facts.description})" if facts.description else ""
        yield key.finding("key.ManagedByAws", f"{arn} belongs to AWS{made}.", Remedy.OWN_KEY)
    elif (facts.key_spec, facts.key_usage) != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        kind = f"of the kind {facts.key_spec}, for {facts.key_usage}"
        message = f"{arn} is {kind}; it has to be symmetric, to encrypt and decrypt."
        yield key.finding("key.WrongKind", message, Remedy.SYMMETRIC_KEY)
    elif facts.key_state != "Enabled":
        code, remedy = _STATES.get(str(facts.key_state), ("key.NotEnabled", Remedy.KEY_STATE))
        until = f", and it will be deleted on {_day(facts.deletion_date)}" if facts.deletion_date else ""
        yield key.finding(code, f"The state of {arn} is {facts.key_state}{until}.", remedy)


_STATES: Final = {
    "Disabled": ("key.Disabled", Remedy.ENABLE_KEY),
    "PendingDeletion": ("key.PendingDeletion", Remedy.CANCEL_DELETION),
    "PendingReplicaDeletion": ("key.PendingDeletion", Remedy.CANCEL_DELETION),
    "PendingImport": ("key.PendingImport", Remedy.IMPORT_MATERIAL),
}


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _not_seen(key: _KeyContext) -> Finding:
    """The owner was there, and something was not shown: all of the key, or its policy alone."""
    of_key = key.facts.metadata is None
    answer = key.facts.describe_key if of_key else key.facts.key_policy
    what = "The key could not be looked at" if of_key else "The key's policy could not be read"
    permissions = _PERMISSIONS if of_key else "kms:GetKeyPolicy"
    return key.finding(
        "key.NotReadable" if of_key else "key.PolicyNotReadable",
        f"{what}: {answer.error or 'there is no answer of AWS about it in what was sent.'}",
        f"Run the script again as somebody who may look at it ({permissions}), and send everything it prints."
        if answer.error
        else "Run the script again, and send everything it prints.",
        Severity.UNKNOWN,
    )


_PERMISSIONS: Final = (
    "kms:DescribeKey, kms:GetKeyPolicy, kms:GetKeyRotationStatus, kms:ListAliases, kms:ListResourceTags"
)


def _policy_findings(key: _KeyContext) -> Iterator[Finding]:
    text = key.facts.key_policy.policy
    if text is None:
        return
    side = PlatformPrincipal(key.collection.platform_role_arn, key.collection.region, key.facts.arn)
    try:
        yield from check_policy(parse_policy(text, on_a_key=True), key.which, side, key.vendor).findings
    except PolicyDocumentError as error:
        yield from invalid_document_report(error, key.which).findings
    except (ValueError, RecursionError):
        strange = PolicyDocumentError("policy.NotJson", "The policy is nested too deeply, or has an endless number.")
        yield from invalid_document_report(strange, key.which).findings


def _note_findings(key: _KeyContext) -> Iterator[Finding]:
    facts = key.facts.metadata
    if facts is not None and key.facts.rotation.key_rotation_enabled is False and _can_be_rotated(facts):
        yield key.finding(
            "key.NoRotation",
            f"{key.facts.arn} is not rotated automatically.",
            "That is allowed. To have it rotated every year, which changes nothing for anybody:\n"
            f"  aws kms enable-key-rotation {key.subject.kms_key_options}",
            Severity.NOTE,
        )
    if facts is not None and facts.valid_to is not None:
        yield key.finding(
            "key.MaterialExpires",
            f"The imported key material of {key.facts.arn} expires on {_day(facts.valid_to)}.",
            "Import it again before that, or the data cannot be read from then on.",
            Severity.NOTE,
        )


def _can_be_rotated(facts: KeyMetadata) -> bool:
    """KMS rotates the material that it has made itself, of keys that are enabled (EnableKeyRotation)."""
    return facts.key_state == "Enabled" and facts.origin in {None, "AWS_KMS"} and facts.custom_key_store_id is None


def _tenant_findings(collection: CollectedKeys, vendor: VendorProfile) -> Iterator[Finding]:
    """Both keys bear the same tenant's name, as alias and as tags, or none does: all else is somebody's mistake."""
    named: set[tuple[KeyPurpose, str]] = set()
    for which in KeyPurpose:
        key = collection.key(which)
        by_alias, by_tag = set(_by_alias(which, key, vendor)), set(_by_tag(key, vendor))
        named |= {(which, tenant) for tenant in by_alias | by_tag}
        if by_tag and not by_alias and key.aliases.aliases is not None:
            yield from _of_lone_tag(which, min(by_tag), collection.region, vendor)
    tenants = sorted({tenant for _, tenant in named})
    if len(tenants) > 1:
        where = "; ".join(f"the {which.display_name} {tenant}" for which, tenant in sorted(named))
        yield Finding(
            "key.TenantNamesDiffer",
            None,
            Severity.NOTE,
            f"Aliases and tags name {len(tenants)} tenants: {where}.",
            "The environment works all the same. Put the right name on both keys: redeploy the stack with TenantName, "
            "or ask the platform's operator for the commands (`byok tenant`).",
        )


def _of_lone_tag(which: KeyPurpose, tenant: str, region: str, vendor: VendorProfile) -> Iterator[Finding]:
    try:
        alias = TenantLabels.for_key(which, tenant, vendor).alias
    except InvalidTenantNameError:  # not put there by these commands, and not to be put into one
        return
    yield Finding(
        "key.TagWithoutAlias",
        which,
        Severity.NOTE,
        f"The {which.display_name} has tags with the tenant's name {tenant}, and not the alias {alias}.",
        "The environment works all the same. The alias may be on another key; this prints which (byok stands for your "
        f"AWS CLI profile):\n  aws kms list-aliases --profile byok --region {region} "
        f"--query \"Aliases[?AliasName=='{alias}'].TargetKeyId\" --output text\n"
        "If it is not needed there, delete it, and name the keys again with the commands of the platform's operator "
        "(`byok tenant`).",
    )


def _by_alias(which: KeyPurpose, key: CollectedKey, vendor: VendorProfile) -> Iterator[str]:
    before, after = vendor.alias_pattern(which).split(TENANT_PLACEHOLDER)
    for name in (alias.alias_name for alias in key.aliases.aliases or ()):
        if name.startswith(before) and name.endswith(after):
            yield name[len(before) : len(name) - len(after)]


def _by_tag(key: CollectedKey, vendor: VendorProfile) -> Iterator[str]:
    yield from (tag.tag_value for tag in key.tags.tags if tag.tag_key in vendor.tenant_tags)
