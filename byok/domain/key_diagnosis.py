"""The diagnosis of two keys from what their owner can see of them, most likely cause first.

The owner collects the facts with a script of plain AWS commands (`byok.onboarding.collection`); the platform itself
could never ask for them: it may use the keys through S3 and RDS alone. What was not allowed to be read is said, and
nothing is concluded from it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from byok.domain.arns import ArnFault, WhichKey, account_of, check_key_arns
from byok.domain.findings import Finding, Severity
from byok.domain.policy_check.calls import PlatformSide
from byok.domain.policy_check.document import PolicyDocumentError, read_policy
from byok.domain.policy_check.near_misses import Cause
from byok.domain.policy_check.report import check_policy, document_report
from byok.domain.remediation import Remedy, Subject, arn_remediation, remediation
from byok.domain.vendor import TENANT, VendorProfile

FORMAT: Final = "byok-keys/1"
"""Says which script made a collection."""

Answer = dict[str, Any]
"""What a command printed, or `{"error": …}` with what it printed instead."""


class CollectionError(ValueError):
    """A file that is not what the script prints; the text says so."""


class CollectedKey(BaseModel):
    """What the owner can see of one key: the answers of the AWS CLI, as they are."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    arn: str
    describe_key: Answer = {}
    key_policy: Answer = {}
    rotation: Answer = {}
    grants: Answer = {}
    aliases: Answer = {}
    tags: Answer = {}


class Collection(BaseModel):
    """What the script prints.

    Attributes:
        platform_role_arn: The role that the policies have to name.
        region: The environment's Region.
        caller: Who ran the script.
        s3: The S3 key.
        rds: The Aurora key.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    format: str
    platform_role_arn: str
    region: str
    caller: Answer = {}
    s3: CollectedKey
    rds: CollectedKey

    @classmethod
    def read(cls, text: str) -> Self:
        """The collection in a file.

        Raises:
            CollectionError: It is none.
        """
        try:
            collection = cls.model_validate(json.loads(text))
            account_of(collection.platform_role_arn)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
            raise CollectionError(f"This is not what the script prints: {fields} is missing or wrong.") from error
        except ValueError as error:
            raise CollectionError(f"This is not what the script prints: {error}.") from error
        if collection.format != FORMAT:
            raise CollectionError(f"This was made by another version of the script ({collection.format}): run it anew.")
        return collection

    def key(self, which: WhichKey) -> CollectedKey:
        """One of the two keys."""
        return self.s3 if which is WhichKey.S3 else self.rds


@dataclass(frozen=True)
class _Examined:
    """One key with what is needed to speak of it."""

    which: WhichKey
    facts: CollectedKey
    collection: Collection
    vendor: VendorProfile

    @property
    def subject(self) -> Subject:
        """Whom an advice is about."""
        return Subject(
            self.collection.region, self.collection.platform_role_arn, self.vendor, self.which, self.facts.arn
        )

    @property
    def metadata(self) -> Answer:
        """KeyMetadata; empty where the key could not be looked at."""
        found = self.facts.describe_key.get("KeyMetadata")
        return found if isinstance(found, dict) else {}

    def finding(self, code: str, message: str, remedy: Remedy | str, severity: Severity = Severity.STOPS) -> Finding:
        """A finding about this key."""
        words = remediation(remedy, self.subject) if isinstance(remedy, Remedy) else remedy
        return Finding(code, self.which, severity, message, words)


def diagnose(collection: Collection, vendor: VendorProfile) -> tuple[Finding, ...]:
    """Everything that is wrong with the two keys, most likely cause first; empty where nothing is."""
    findings = list(_of_arns(collection, vendor))
    wrong_arns = {finding.key for finding in findings if finding.code in _NOT_A_KEY}
    for which in WhichKey:
        examined = _Examined(which, collection.key(which), collection, vendor)
        if which not in wrong_arns:
            findings += [*_of_state(examined), *_of_kind(examined), *_of_policy(examined), *_worth_knowing(examined)]
    if _exchanged(findings):
        findings = [finding for finding in findings if finding.code not in _OF_EXCHANGE]
        findings.insert(0, _of_exchange(collection))
    findings += _of_tenant(collection, vendor)
    # Python's sort keeps the order of what ranks equal: ARNs, then the key itself, then its policy.
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))


_NOT_A_KEY: Final = {
    fault.value for fault in (ArnFault.MALFORMED, ArnFault.NOT_AN_ARN, ArnFault.ALIAS, ArnFault.NOT_A_KEY)
}


_OF_EXCHANGE: Final = {Cause.OTHER_KEYS_STATEMENT.value}


def _exchanged(findings: list[Finding]) -> bool:
    """Whether each key has the other one's statements: then it is the ARNs that are wrong, and not the policies."""
    return {finding.key for finding in findings if finding.code in _OF_EXCHANGE} == set(WhichKey)


def _of_exchange(collection: Collection) -> Finding:
    return Finding(
        "arn.Exchanged",
        None,
        Severity.STOPS,
        "Each of the two keys has the statements of the other one: the two ARNs seem to be exchanged.",
        f"Give {collection.rds.arn} as {WhichKey.S3.label}, and {collection.s3.arn} as {WhichKey.RDS.label}.",
    )


def _of_arns(collection: Collection, vendor: VendorProfile) -> Iterator[Finding]:
    role = collection.platform_role_arn
    for found in check_key_arns(collection.s3.arn, collection.rds.arn, collection.region, account_of(role)):
        subject = Subject(collection.region, role, vendor, found.which, found.arn)
        yield Finding(
            found.fault.value, found.which, Severity.STOPS, found.message, arn_remediation(found.fault, subject)
        )


def _of_state(key: _Examined) -> Iterator[Finding]:
    error = key.facts.describe_key.get("error")
    if error is not None:
        yield _not_seen(key, str(error))
        return
    facts = key.metadata
    state = facts.get("KeyState", "unknown")
    if facts.get("KeyManager") == "AWS":
        words = f"{key.facts.arn} belongs to AWS ({facts.get('Description', 'an AWS managed key')})."
        yield key.finding("key.ManagedByAws", f"{words} Its policy cannot be changed.", Remedy.SYMMETRIC_KEY)
    elif state != "Enabled" and facts:
        code, remedy = _STATES.get(state, ("key.NotEnabled", Remedy.KEY_STATE))
        until = f", and will be deleted on {facts['DeletionDate']}" if "DeletionDate" in facts else ""
        yield key.finding(code, f"The state of {key.facts.arn} is {state}{until}.", remedy)


_STATES: Final = {
    "Disabled": ("key.Disabled", Remedy.ENABLE_KEY),
    "PendingDeletion": ("key.PendingDeletion", Remedy.CANCEL_DELETION),
    "PendingReplicaDeletion": ("key.PendingDeletion", Remedy.CANCEL_DELETION),
    "PendingImport": ("key.PendingImport", Remedy.IMPORT_MATERIAL),
}


def _not_seen(key: _Examined, error: str) -> Finding:
    if "NotFoundException" in error:
        return key.finding("key.NotFound", f"There is no such key: {error}", Remedy.CHECK_ARN)
    return key.finding(
        "key.NotReadable",
        f"The key could not be looked at: {error}",
        "Run the script again as somebody who may look at the keys of that account (kms:DescribeKey, "
        "kms:GetKeyPolicy, kms:GetKeyRotationStatus, kms:ListGrants, kms:ListAliases, kms:ListResourceTags).",
        Severity.UNKNOWN,
    )


def _of_kind(key: _Examined) -> Iterator[Finding]:
    spec, usage = key.metadata.get("KeySpec", "SYMMETRIC_DEFAULT"), key.metadata.get("KeyUsage", "ENCRYPT_DECRYPT")
    if (spec, usage) != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        message = f"{key.facts.arn} is of the kind {spec}, for {usage}; it has to be symmetric, to encrypt and decrypt."
        yield key.finding("key.WrongKind", message, Remedy.SYMMETRIC_KEY)


def _of_policy(key: _Examined) -> Iterator[Finding]:
    text = key.facts.key_policy.get("Policy")
    if not isinstance(text, str):
        error = key.facts.key_policy.get("error")
        if error is not None and "error" not in key.facts.describe_key:
            yield key.finding(
                "key.PolicyNotReadable",
                f"The key's policy could not be read: {error}",
                "Run the script again as somebody who may read it (kms:GetKeyPolicy).",
                Severity.UNKNOWN,
            )
        return
    side = PlatformSide(key.collection.platform_role_arn, key.collection.region, key.facts.arn)
    try:
        yield from check_policy(read_policy(text, on_a_key=True), key.which, side, key.vendor).findings
    except PolicyDocumentError as error:
        yield from document_report(error, key.which).findings


def _worth_knowing(key: _Examined) -> Iterator[Finding]:
    if key.facts.rotation.get("KeyRotationEnabled") is False and not key.metadata.get("CustomKeyStoreId"):
        yield key.finding(
            "key.NoRotation",
            f"{key.facts.arn} is not rotated automatically.",
            "That is allowed. To have it rotated every year, which changes nothing for anybody:\n"
            f"  aws kms enable-key-rotation {key.subject.kms}",
            Severity.NOTE,
        )
    if "ValidTo" in key.metadata:
        yield key.finding(
            "key.MaterialExpires",
            f"The imported key material of {key.facts.arn} expires on {key.metadata['ValidTo']}.",
            "Import it again before that, or the data cannot be read from then on.",
            Severity.NOTE,
        )


def _of_tenant(collection: Collection, vendor: VendorProfile) -> Iterator[Finding]:
    """Both keys bear the same tenant's name, or none does: two names are somebody's mistake."""
    named = {(which, tenant) for which in WhichKey for tenant in _tenants(which, collection.key(which), vendor)}
    tenants = sorted({tenant for _, tenant in named})
    if len(tenants) > 1:
        where = "; ".join(f"the {which.label.removesuffix(' ARN')} {tenant}" for which, tenant in sorted(named))
        yield Finding(
            "key.TenantNamesDiffer",
            None,
            Severity.NOTE,
            f"Aliases and tags name {len(tenants)} tenants: {where}.",
            "The environment works all the same. Put the right name on both keys: redeploy the stack with TenantName, "
            "or ask the platform's operator for the commands (`byok tenant`).",
        )


def _tenants(which: WhichKey, key: CollectedKey, vendor: VendorProfile) -> Iterator[str]:
    before, after = vendor.alias_pattern(which).split(TENANT)
    for alias in key.aliases.get("Aliases", []):
        name = alias.get("AliasName", "")
        if name.startswith(before) and name.endswith(after):
            yield name[len(before) : len(name) - len(after)]
    yield from (tag.get("TagValue", "") for tag in key.tags.get("Tags", []) if tag.get("TagKey") in vendor.tenant_tags)
