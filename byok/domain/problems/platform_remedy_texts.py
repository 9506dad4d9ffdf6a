"""The texts of the remedies that the platform's operator carries out."""

from typing import Final

from byok.domain.problems.remedies import Remedy, RemedyText, RetryText, StepText
from byok.domain.remediation import Actor, RetryValues


def _step(text: str, command: str | None = None) -> StepText:
    """Return a step that the platform's operator carries out."""
    return StepText(text, command, actor=Actor.PLATFORM_OPERATOR)


NO_ACTION: Final = "The customer does not need to do anything."

PLATFORM_REMEDY_TEXTS: Final[dict[Remedy, RemedyText]] = {
    Remedy.DRIFT: RemedyText(
        "A resource of the environment was changed or deleted",
        (
            _step("Look up in CloudTrail who changed or deleted the resource above."),
            _step("Restore the resource or its setting."),
        ),
        f"{NO_ACTION} The keys work. Someone with access to the platform's account {{account}} changed or deleted the "
        "resource above.",
    ),
    Remedy.PLATFORM_KEY: RemedyText(
        "AWS rejected a key in the platform's account",
        (_step("Allow {role} to use this key."),),
        f"{NO_ACTION} The customer's key is not at fault. AWS rejected a key in the platform's account {{account}}: "
        "the key that encrypts the managed master user secret, or an AWS default key.",
    ),
    Remedy.PLATFORM_MANAGED_KEY: RemedyText(
        "The platform cannot use a key in its own account",
        (
            _step(
                "Make sure that the key is an enabled symmetric encryption key in {region}, "
                "and that its policy and the IAM policy of {role} allow the calls in AWS's message."
            ),
            _step(
                "Make sure that BYOK_PLATFORM_KEYS contains the key that existing resources "
                "of the environment were created with."
            ),
            _step(
                "If the status of a cluster is inaccessible-encryption-credentials-recoverable, start the "
                "cluster (RDS, StartDBCluster) within 7 days after it lost the key."
            ),
        ),
        f"{NO_ACTION} The keys of this environment are platform-managed: {{key_arn}} is a key in the platform's "
        "account {account}.",
    ),
    Remedy.PLATFORM_PERMISSION: RemedyText(
        "The platform lacks a permission in its own account",
        (
            _step(
                "Allow {role} to call this operation, in its IAM policy and in the "
                "organization's service control policies."
            ),
        ),
        NO_ACTION,
    ),
    Remedy.PLATFORM_SESSION: RemedyText(
        "The platform's role cannot assume itself with the session tag",
        (
            _step(
                "Let {role} assume itself with the session tag `organisation`: the role's "
                "trust policy must allow sts:AssumeRole and sts:TagSession for {role}, and the organization's service "
                "control policies must not deny these actions."
            ),
        ),
        NO_ACTION,
    ),
    Remedy.PLATFORM_CREDENTIALS: RemedyText(
        "AWS does not accept the platform's credentials",
        (
            _step(
                "Run `byok doctor`, which shows the worker's AWS identity and everything that is missing.",
                command="byok doctor",
            ),
        ),
        f"{NO_ACTION} AWS rejects the worker's credentials, the worker's clock is wrong, or the worker does not run "
        "as {role}.",
    ),
    Remedy.PLATFORM_OPERATOR: RemedyText(
        "AWS returned an error that the platform's operator must resolve",
        (
            _step("Resolve the error that AWS reports above."),
            _step("If you cannot resolve the error, ask AWS Support to look it up by its request id."),
        ),
        NO_ACTION,
    ),
    Remedy.NAME_TAKEN: RemedyText(
        "An unrelated resource has the name that the environment needs",
        (_step("Delete or rename that resource, or choose another environment id."),),
        f"{NO_ACTION} A resource that does not belong to this environment has the name that the environment needs, and "
        "byok does not change that resource.",
    ),
    Remedy.ID_IN_USE: RemedyText(
        "The environment id is already in use",
        (_step("Choose another environment id or, if the existing environment is no longer needed, delete it first."),),
        f"{NO_ACTION} Nothing was created.",
    ),
    Remedy.OTHER_OWNER: RemedyText(
        "The environment does not belong to this organisation",
        (_step("Check the environment's id, and repeat the request for the organisation that owns the environment."),),
        f"{NO_ACTION} Nothing was deleted.",
    ),
    Remedy.BUCKET_OF_ANOTHER_ACCOUNT: RemedyText(
        "Another AWS account has taken a bucket name that byok needs",
        (
            _step("Check that the worker's credentials and {role} belong to the same account."),
            _step(
                "If they do, ask the owner of the bucket to delete it, or choose another environment id. As long as no "
                "environment exists, you can instead choose another BYOK_VENDOR__RESOURCE_PREFIX."
            ),
        ),
        f"{NO_ACTION} All AWS accounts share one namespace for bucket names. byok writes nothing to that bucket and "
        "reads nothing from it.",
    ),
    Remedy.UNPROVED: RemedyText(
        "AWS reports settings that differ from the requested settings",
        (_step("Find out who changed the resource, and correct or delete the resource."),),
        f"{NO_ACTION} AWS reports settings that differ from the requested settings, so the environment does not become "
        "ready.",
    ),
    Remedy.QUOTA: RemedyText(
        "The platform's account has reached an AWS service quota",
        (_step("Request a quota increase, or delete unused resources."),),
        f"{NO_ACTION} The platform's account {{account}} has reached a service quota in {{region}}.",
    ),
    Remedy.ACCOUNT_OF_ANOTHER_ORGANISATION: RemedyText(
        "The AWS account is registered for another organisation",
        (
            _step(
                "If the account now belongs to another organisation, run `byok accounts remove` for the previous "
                "organisation."
            ),
        ),
        f"{NO_ACTION} An AWS account can be registered for only one organisation.",
    ),
    Remedy.REGION_NOT_IN_USE: RemedyText(
        "The platform does not use the Region {region}",
        (
            _step("Check the Region in the request."),
            _step(
                "If the Region is correct, add it to BYOK_REGIONS for the workers and the web server, and restart them."
            ),
        ),
        f"{NO_ACTION} Nothing was changed.",
    ),
    Remedy.DIFFERS_FROM_AWS: RemedyText(
        "The deletion request differs from what exists in AWS",
        (
            _step("Check that the environment's id is correct."),
            _step(
                "If the id is correct, use the values that AWS reports (see above). All resources of an environment "
                "must be in one Region: if AWS reports several Regions, first delete the resources in the wrong "
                "Regions."
            ),
        ),
        f"{NO_ACTION} Nothing was deleted.",
        RetryText(RetryValues.CORRECTED, "Retry the deletion with the values that AWS reports."),
    ),
    Remedy.FOREIGN_OBJECTS: RemedyText(
        "A bucket contains objects that provisioning did not write",
        (
            _step("Ask the owner of the objects above to move or delete them, with all their versions."),
            _step(
                "To list everything in a bucket, call S3's ListObjectVersions.",
            ),
        ),
        f"{NO_ACTION} Nothing was deleted, and the database still runs.",
    ),
    Remedy.LEFT_BEHIND: RemedyText(
        "Some resources could not be removed",
        (
            _step("Resolve the problems listed above."),
            _step(
                "If a bucket contains objects that provisioning did not write, ask the owner of those objects to "
                "delete them."
            ),
        ),
        NO_ACTION,
    ),
    Remedy.WAIT: RemedyText(
        "AWS was busy or could not be reached",
        (_step("Check the AWS Health Dashboard for an outage in {region}."),),
        f"{NO_ACTION} AWS throttled calls, was unreachable, or stayed busy for longer than byok waits.",
    ),
    Remedy.HELD_TOO_LONG: RemedyText(
        "A platform fault lasted longer than byok waits",
        (
            _step("Run `byok doctor`, which shows what is missing.", command="byok doctor"),
            _step("Check the AWS Health Dashboard for an outage in {region}."),
        ),
        f"{NO_ACTION} This platform fault lasted longer than the maximum time for which byok holds an environment.",
    ),
}
