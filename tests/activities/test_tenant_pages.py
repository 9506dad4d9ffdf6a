"""byok reads every page of KMS's lists of aliases and tags, and retries if a list is stale."""

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.clients import AwsClients
from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.phases import AliasOutcome
from localaws.kms import pages
from tests.activities.conftest import ActivityHarness
from tests.activities.tenant_keys import TenantHarness, tenant_alias
from tests.localaws.server import VENDOR


@pytest.fixture
def tenant(harness: ActivityHarness) -> TenantHarness:
    return TenantHarness(harness)


@pytest.mark.parametrize("before", [49, 50, 99, 100])
def test_alias_is_found_on_any_page_of_the_keys_aliases(tenant: TenantHarness, before: int) -> None:
    arn = tenant.keys[KeyPurpose.S3]
    for number in range(before):
        tenant.kms.create_alias(AliasName=f"alias/mine-{number}", TargetKeyId=arn)
    tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3), TargetKeyId=arn)
    tenant.forget_calls()

    assert tenant.reconcile(KeyPurpose.S3).alias_state is AliasOutcome.IN_PLACE
    assert tenant.list_writes() == ["TagResource"]
    assert len([call for call in tenant.aws.list_calls("kms") if call == "ListAliases"]) == before // 50 + 1


def test_aliases_of_other_tenants_are_reported_from_every_page(tenant: TenantHarness) -> None:
    arn = tenant.keys[KeyPurpose.S3]
    for number in range(51):
        tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3, f"t-{number}"), TargetKeyId=arn)

    assert len(tenant.reconcile(KeyPurpose.S3).other_aliases) == 51


@pytest.mark.parametrize("before", [49, 50])
def test_alias_owner_is_found_on_any_page_of_all_aliases(tenant: TenantHarness, before: int) -> None:
    others = [tenant.aws.create_key() for _ in range(2)]
    for number in range(before):
        tenant.kms.create_alias(AliasName=f"alias/mine-{number}", TargetKeyId=others[0])
    tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3), TargetKeyId=others[1])

    found = tenant.reconcile(KeyPurpose.S3)

    assert (found.alias_state, found.points_at) == (AliasOutcome.CONFLICT, parse_key_arn(others[1]).key_id)


class StaleKmsClient:
    """A KMS client whose alias lists are stale: successive calls return the given lists, not the real aliases."""

    def __init__(self, real: Any, answers: list[list[Any]]) -> None:
        self._answers = answers
        self._real = real

    def get_paginator(self, operation: str) -> Any:
        return self if operation == "list_aliases" else self._real.get_paginator(operation)

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [{"Aliases": [alias]} for alias in answer]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def behind(tenant: TenantHarness, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    kms_as = AwsClients.kms_assuming_role

    def install(*answers: list[Any]) -> None:
        left = list(answers)
        monkeypatch.setattr(AwsClients, "kms_assuming_role", lambda *given: StaleKmsClient(kms_as(*given), left))

    return install


def alias_entry(name: str, key_arn: str | None) -> dict[str, str]:
    target = {"TargetKeyId": parse_key_arn(key_arn).key_id} if key_arn else {}
    return {"AliasName": name, **target}


def test_alias_created_by_an_attempt_with_a_lost_answer_is_in_place(
    tenant: TenantHarness, behind: Callable[..., None]
) -> None:
    arn = tenant.keys[KeyPurpose.S3]
    tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3), TargetKeyId=arn)
    behind([], [alias_entry("alias/aws/s3", None), alias_entry(tenant_alias(KeyPurpose.S3), arn)])

    found = tenant.reconcile(KeyPurpose.S3)

    assert (found.alias_state, found.points_at, found.remediation) == (AliasOutcome.IN_PLACE, None, None)
    assert set(found.tags_written) == set(VENDOR.tenant_tags)


@pytest.mark.parametrize("listed", [[], [alias_entry(tenant_alias(KeyPurpose.S3), None)]])
@pytest.mark.parametrize("repoint", [False, True])
def test_alias_without_a_listed_target_is_looked_up_again(
    tenant: TenantHarness, behind: Callable[..., None], listed: list[Any], repoint: bool
) -> None:
    other = tenant.keys[KeyPurpose.RDS]
    tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3), TargetKeyId=other)
    behind([], listed)

    with pytest.raises(ApplicationError) as caught:
        tenant.harness.run_once(tenant.activities.reconcile_key, tenant.build_task(KeyPurpose.S3, repoint=repoint))

    assert (caught.value.type, caught.value.non_retryable) == ("kms.AliasInMotion", False)
    behind([], listed, [], [alias_entry(tenant_alias(KeyPurpose.S3), other)])
    state = AliasOutcome.REPOINTED if repoint else AliasOutcome.CONFLICT
    assert tenant.reconcile(KeyPurpose.S3, repoint=repoint).alias_state is state


def test_tag_on_a_later_page_is_not_written_again(tenant: TenantHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant.reconcile(KeyPurpose.S3)
    tenant.forget_calls()
    # A page can contain all tags of a key, which has at most 50 tags, but KMS may return fewer tags per page.
    monkeypatch.setitem(pages._USUAL_AND_MOST, "ListResourceTags", (1, 50))

    found = tenant.reconcile(KeyPurpose.S3)

    assert found.tags_written == ()
    assert len([call for call in tenant.aws.list_calls("kms") if call == "ListResourceTags"]) == len(VENDOR.tenant_tags)
