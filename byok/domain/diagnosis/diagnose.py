"""Diagnoses two keys from facts that the key administrator collects.

The key administrator collects the facts with a script of plain AWS CLI commands, whose output
`byok.domain.diagnosis.key_facts` parses. The platform itself cannot read the facts, because it may use the keys only
through S3 and RDS. If a fact is missing, the diagnosis reports it as missing, and neither assumes a value nor declares
the key usable.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from byok.domain.arns import InvalidKeyArnError, KeyPair, KeyPurpose, account_id_of_role, check_key_arns, parse_key_arn
from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.diagnosis.key_facts import CollectedKey, CollectedKeys, KeyMetadata
from byok.domain.diagnosis.tenant_labels import find_tenant_findings
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.denial_causes import DenialCause
from byok.domain.iam.check.document import PolicyDocumentError, parse_policy
from byok.domain.iam.check.report import check_policy, invalid_document_report
from byok.domain.iam.findings import Finding, Severity, build_finding_remedy
from byok.domain.problems.remediation import Remedy, RemedyContext, build_arn_remediation, build_remediation
from byok.domain.remediation import Actor, Remediation, RemedyStep
from byok.domain.vendor import VendorProfile


@dataclass(frozen=True)
class _KeyContext:
    """One key, with the data that byok needs to build the findings about that key."""

    which: KeyPurpose
    facts: CollectedKey
    collection: CollectedKeys
    vendor: VendorProfile
    at: datetime | None
    profile: str

    @property
    def subject(self) -> RemedyContext:
        """The context for this key's remedies."""
        return _remedy_context(self.collection, self.vendor, self.which, self.facts.arn, self.profile)

    @property
    def account(self) -> str | None:
        """The account that the key belongs to; None if its ARN is invalid."""
        try:
            return parse_key_arn(self.facts.arn).account
        except InvalidKeyArnError:
            return None

    @property
    def is_visible(self) -> bool:
        """Whether all facts needed to declare the key usable were collected."""
        return self.facts.metadata is not None and self.facts.key_policy.policy is not None

    def finding(
        self, code: str, message: str, remedy: Remedy | Remediation, severity: Severity = Severity.STOPS
    ) -> Finding:
        """Build a finding about this key."""
        built = build_remediation(remedy, self.subject) if isinstance(remedy, Remedy) else remedy
        return Finding(code, self.which, severity, message, built)


def _remedy_context(
    collection: CollectedKeys, vendor: VendorProfile, which: KeyPurpose, arn: str, profile: str
) -> RemedyContext:
    role, owner = collection.platform_role_arn, collection.organisation
    return RemedyContext(collection.region, role, vendor, which, arn, profile=profile, organisation=owner)


def diagnose_collected_keys(
    collection: CollectedKeys, vendor: VendorProfile, at: datetime | None = None, profile: str = DEFAULT_PROFILE
) -> tuple[Finding, ...]:
    """Return all findings about the two keys, most severe first. If no findings are returned, both keys are usable.

    Args:
        collection: The facts.
        vendor: The vendor profile.
        at: The time at which to evaluate the policies' date conditions; None leaves these conditions undecided.
        profile: The customer's AWS CLI profile; empty for commands without a profile.
    """
    findings = list(_arn_findings(collection, vendor, profile))
    # If a key must be replaced, other findings about it are irrelevant.
    replaced = {finding.key for finding in findings}
    keys = [
        _KeyContext(which, collection.key(which), collection, vendor, at, profile)
        for which in KeyPurpose
        if which not in replaced
    ]
    unseen = [key for key in keys if not key.is_visible]
    findings += _caller_findings(collection, unseen)
    explained = {key.which for key in unseen if _caller_explains_it(collection, key)}
    for key in keys:
        findings += _key_findings(key, explained=key.which in explained)
    if _are_exchanged(findings):
        findings = [finding for finding in findings if finding.code not in _OF_EXCHANGE]
        findings.insert(0, _exchange_finding(collection))
    findings += find_tenant_findings(collection, vendor, profile)
    # The sort is stable, so findings of equal severity stay in this order: ARNs, the key itself, the key's policy.
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))


def are_keys_usable(findings: Iterable[Finding]) -> bool | None:
    """Return whether the findings show that the keys are usable; None if the findings are inconclusive."""
    severities = {finding.severity for finding in findings}
    if Severity.STOPS in severities:
        return False
    return None if Severity.UNKNOWN in severities else True


_OF_EXCHANGE: Final = {DenialCause.OTHER_KEYS_STATEMENT.value}


def _are_exchanged(findings: list[Finding]) -> bool:
    """Return whether each key's policy contains the other key's statements.

    If each policy contains the other key's statements, the two ARNs are swapped, and the policies are correct.
    """
    return {finding.key for finding in findings if finding.code in _OF_EXCHANGE} == set(KeyPurpose)


def _exchange_finding(collection: CollectedKeys) -> Finding:
    return Finding(
        "arn.Exchanged",
        None,
        Severity.STOPS,
        "Each key's policy contains the statements for the other key. The two ARNs seem to be swapped.",
        build_finding_remedy(
            "The two key ARNs are swapped",
            f"Use {collection.rds.arn} as the {KeyPurpose.S3.field_label}, "
            f"and {collection.s3.arn} as the {KeyPurpose.RDS.field_label}.",
        ),
    )


def _arn_findings(collection: CollectedKeys, vendor: VendorProfile, profile: str) -> Iterator[Finding]:
    pair, account = KeyPair(collection.s3.arn, collection.rds.arn), account_id_of_role(collection.platform_role_arn)
    for found in check_key_arns(pair, collection.region, account):
        subject = _remedy_context(collection, vendor, found.which, found.arn, profile)
        yield Finding(
            found.fault.value, found.which, Severity.STOPS, found.message, build_arn_remediation(found.fault, subject)
        )


def _caller_explains_it(collection: CollectedKeys, key: _KeyContext) -> bool:
    """Return whether the script could not read a key because it ran without credentials for the key's account.

    If the script ran with credentials for the key's account, the cause is a missing permission.
    """
    caller = collection.caller
    return caller.error is not None or (caller.account is not None and caller.account != key.account)


def _caller_findings(collection: CollectedKeys, unseen: list[_KeyContext]) -> Iterator[Finding]:
    """Yield one finding for all keys that the script could not read without credentials for their account."""
    caller, unseen = collection.caller, [key for key in unseen if _caller_explains_it(collection, key)]
    if not unseen:
        return
    which = unseen[0].which if len(unseen) == 1 else None
    # All these keys are in one account, because two keys in different accounts result in an ARN finding instead.
    there, keys = unseen[0].account, unseen[0].which.display_name if which else "keys"
    if caller.error is not None:
        yield Finding(
            "caller.NotSignedIn",
            which,
            Severity.UNKNOWN,
            f"The script could not read the {keys}: the AWS CLI is not installed where the script ran, or has no "
            f"credentials. The AWS CLI printed: {caller.error}",
            Remediation(
                title="The AWS CLI was not signed in where the script ran",
                steps=(
                    RemedyStep(
                        actor=Actor.KEY_ADMINISTRATOR,
                        text="The easiest way to run the script is AWS CloudShell: sign in to the AWS console of "
                        f"account {there}, choose the terminal icon at the top, and run the script there.",
                    ),
                    RemedyStep(
                        actor=Actor.KEY_ADMINISTRATOR,
                        text="To run the script elsewhere, install the AWS CLI and choose a profile. Replace byok with "
                        "your AWS CLI profile for that account.",
                        command="export AWS_PROFILE=byok",
                    ),
                    RemedyStep(
                        actor=Actor.KEY_ADMINISTRATOR,
                        text="Make sure that this command prints the id of your account.",
                        command="aws sts get-caller-identity",
                    ),
                    RemedyStep(actor=Actor.KEY_ADMINISTRATOR, text="Run the script again, and send all of its output."),
                ),
            ),
        )
    else:
        yield Finding(
            "caller.OtherAccount",
            which,
            Severity.UNKNOWN,
            f"The script ran in account {caller.account}, but the {keys} {'is' if which else 'are'} in account "
            f"{there} and cannot be read from another account.",
            build_finding_remedy(
                "The script ran in another AWS account",
                f"Run the script again in account {there}: either in CloudShell, after you sign in to that account, or "
                "with an AWS CLI profile for that account. If that account is not yours, an ARN is wrong: copy both "
                "ARNs again.",
            ),
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
"""If a key has one of these findings, byok does not check the key's policy, because the key must be replaced or the
facts are about another key."""


def _metadata_findings(key: _KeyContext) -> Iterator[Finding]:
    facts, arn = key.facts.metadata, key.facts.arn
    if facts is None:
        error = key.facts.describe_key.error or ""
        if "NotFoundException" in error and not _caller_explains_it(key.collection, key):
            yield key.finding("key.NotFound", f"The key does not exist. AWS said: {error}", Remedy.CHECK_ARN)
        return
    if facts.arn is not None and facts.arn != arn:
        yield key.finding(
            "key.OfAnotherArn",
            f"The collected facts are about the key {facts.arn}, but the given ARN is {arn}.",
            build_finding_remedy(
                "The collected data is about another key",
                "Run the script again with the right ARN, and send everything it prints, unchanged.",
            ),
            Severity.UNKNOWN,
        )
    elif facts.key_manager == "AWS":
        made = f" ({facts.description})" if facts.description else ""
        yield key.finding("key.ManagedByAws", f"{arn} is an AWS managed key{made}.", Remedy.OWN_KEY)
    elif (facts.key_spec, facts.key_usage) != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        kind = f"key spec {facts.key_spec} and key usage {facts.key_usage}"
        message = f"{arn} has {kind}; it must be a symmetric key for encryption and decryption."
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
    """Build the finding for a key whose metadata or policy the script could not read.

    The identity that ran the script is in the key's account, so it probably lacks a permission.
    """
    of_key = key.facts.metadata is None
    answer = key.facts.describe_key if of_key else key.facts.key_policy
    what = "The key could not be read" if of_key else "The key's policy could not be read"
    permissions = _PERMISSIONS if of_key else "kms:GetKeyPolicy"
    return key.finding(
        "key.NotReadable" if of_key else "key.PolicyNotReadable",
        f"{what}: {answer.error or _NO_RESPONSE}",
        build_finding_remedy(
            what,
            f"Make sure that you have the required permissions ({permissions}), run the script again, and send "
            "everything it prints."
            if answer.error
            else "Run the script again, and send everything it prints.",
        ),
        Severity.UNKNOWN,
    )


_NO_RESPONSE: Final = "AWS's response is missing from the output of the script."
_PERMISSIONS: Final = (
    "kms:DescribeKey, kms:GetKeyPolicy, kms:GetKeyRotationStatus, kms:ListAliases, kms:ListResourceTags"
)


def _policy_findings(key: _KeyContext) -> Iterator[Finding]:
    text = key.facts.key_policy.policy
    if text is None:
        return
    told = key.collection
    side = PlatformPrincipal(told.platform_role_arn, told.region, key.facts.arn, key.at, told.organisation)
    try:
        yield from check_policy(parse_policy(text, on_a_key=True), key.which, side, key.vendor).findings
    except PolicyDocumentError as error:
        yield from invalid_document_report(error, key.which).findings
    except (ValueError, RecursionError):
        strange = PolicyDocumentError(
            "policy.NotJson", "The policy is nested too deeply, or contains a number with too many digits."
        )
        yield from invalid_document_report(strange, key.which).findings


def _note_findings(key: _KeyContext) -> Iterator[Finding]:
    facts = key.facts.metadata
    if facts is not None and key.facts.rotation.key_rotation_enabled is False and _can_be_rotated(facts):
        yield key.finding(
            "key.NoRotation",
            f"Automatic rotation is off for {key.facts.arn}.",
            Remediation(
                title=f"Automatic rotation is off for the {key.which.display_name}",
                explanation="That is allowed.",
                steps=(
                    RemedyStep(
                        actor=Actor.KEY_ADMINISTRATOR,
                        text="To rotate the key every year, which does not affect any user of the key, run this "
                        "command.",
                        credentials=key.subject.profile_hint,
                        command=f"aws kms enable-key-rotation {key.subject.kms_key_options}",
                    ),
                ),
            ),
            Severity.NOTE,
        )
    if facts is not None and facts.valid_to is not None:
        yield key.finding(
            "key.MaterialExpires",
            f"The imported key material of {key.facts.arn} expires on {_day(facts.valid_to)}.",
            build_finding_remedy(
                f"The key material of the {key.which.display_name} expires",
                "Import the key material again before that day. If the key material expires, the data becomes "
                "unreadable.",
            ),
            Severity.NOTE,
        )


def _can_be_rotated(facts: KeyMetadata) -> bool:
    """Return whether a key is enabled and has key material from KMS, as rotation requires (EnableKeyRotation)."""
    return facts.key_state == "Enabled" and facts.origin in {None, "AWS_KMS"} and facts.custom_key_store_id is None
