"""Examines what a key administrator pastes or uploads: a key policy, or the output of the collection script."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import UploadFile

from byok.api.state import ApiState
from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.diagnosis.diagnose import are_keys_usable, diagnose_collected_keys
from byok.domain.diagnosis.key_facts import COLLECTED_KEYS_MAX_LENGTH, CollectedKeys, CollectedKeysError
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.document import PolicyDocumentError, decode_text
from byok.domain.iam.check.report import PolicyReport, invalid_document_report, parse_and_check_policy
from byok.domain.iam.findings import Finding


@dataclass(frozen=True)
class PolicyExamination:
    """A key policy, and the report on its problems."""

    which: KeyPurpose = KeyPurpose.S3
    policy: str = ""
    report: PolicyReport | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The output of the collection script, and the findings about the keys.

    Attributes:
        output: The text that the user pasted; empty if the user uploaded a file.
        fault: The reason why byok cannot read the text; empty if byok can read it.
        findings: The problems with the keys, most severe first; None if no keys were diagnosed.
    """

    output: str = ""
    fault: str = ""
    findings: tuple[Finding, ...] | None = None

    @property
    def keys_in_order(self) -> tuple[KeyPurpose, ...]:
        """The keys without a finding, if each finding is about one key."""
        affected = {finding.key for finding in self.findings or ()}
        if self.findings is None or None in affected:
            return ()
        return tuple(key for key in KeyPurpose if key not in affected)

    @property
    def is_usable(self) -> bool | None:
        """Whether the keys are usable; None if that is unknown."""
        return are_keys_usable(self.findings or ())


def examine_policy(
    form: Mapping[str, Any], state: ApiState, region: str, organisation: str | None
) -> PolicyExamination:
    """Check a pasted policy.

    If the text is not a policy, the report contains the error, and the page shows this report like any other report.
    """
    policy = str(form.get("policy", ""))
    which = KeyPurpose.RDS if form.get("policy_key") == KeyPurpose.RDS else KeyPurpose.S3
    side = PlatformPrincipal(state.platform_role_arn, region, at=datetime.now(UTC), organisation=organisation)
    try:
        report = parse_and_check_policy(policy.encode(errors="replace"), which, side, state.vendor)
    except PolicyDocumentError as error:
        report = invalid_document_report(error, which)
    return PolicyExamination(which, policy, report)


async def diagnose_output(
    form: Mapping[str, Any], state: ApiState, region: str, profile: str, keys: KeyPair | None = None
) -> Diagnosis:
    """Diagnose the keys from an uploaded file or, if there is none, from pasted text.

    Args:
        form: The form with the file or the text.
        state: The state of the API.
        region: The environment's Region.
        profile: The customer's AWS CLI profile, for the commands.
        keys: The keys of an existing environment. The output must be about these keys.
    """
    output, file = str(form.get("output", "")), form.get("output_file")
    try:
        text = decode_text(await file.read()) if isinstance(file, UploadFile) and file.size else output
        collection = _parse_output(text, state.platform_role_arn, region)
        if keys is not None:
            _require_keys(collection, keys)
    except (CollectedKeysError, PolicyDocumentError) as error:
        return Diagnosis(output, fault=str(error))
    return Diagnosis(output, findings=diagnose_collected_keys(collection, state.vendor, datetime.now(UTC), profile))


def _require_keys(collection: CollectedKeys, keys: KeyPair) -> None:
    """Raise an error if the output is about other keys.

    Raises:
        CollectedKeysError: The output is about other keys.
    """
    for which, arn in keys.items():
        given = collection.key(which).arn
        if given != arn:
            raise CollectedKeysError(
                f"This output is about {given or 'no key'} as {which.field_label}, but the environment uses {arn}. "
                "Download the script on this page, and run it."
            )


def _parse_output(text: str, platform_role_arn: str, region: str) -> CollectedKeys:
    """Parse the script's output.

    Raises:
        CollectedKeysError: The text is not the output of a script for this platform role and this Region.
    """
    if not text.strip():
        raise CollectedKeysError("Choose the file keys.json, or paste what the script printed.")
    if len(text) > COLLECTED_KEYS_MAX_LENGTH:
        raise CollectedKeysError("This text is much longer than the script's output. Choose the file keys.json.")
    collection = CollectedKeys.parse(text)
    collection.require_platform_role(platform_role_arn)
    if collection.region != region:
        raise CollectedKeysError(
            f"This is the output of a script for {collection.region}, but the environment is in {region}. Download the "
            "script again, and run it."
        )
    return collection
