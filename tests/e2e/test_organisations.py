"""AWS denies confused-deputy calls even if byok's own registry of accounts allows them (contract 146, D11)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.models import AccountRequest, CheckKeysRequest
from byok.domain.phases import KeyVerdict, Phase
from byok.domain.vendor import VendorProfile
from byok.local.ports import HOST, Ports
from byok.local.stack import DevStack
from byok.service.errors import NamingStoppedError
from localaws.state import CUSTOMER_ACCOUNT
from tests.e2e.conftest import SETTINGS, StackHarness
from tests.localaws.server import REGION, AwsHarness
from tests.remedy_text import text_of

VENDOR = VendorProfile(organisation_session_tag=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tagging(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StackHarness]:
    """A stack whose vendor profile turns on session tags."""
    settings = {**SETTINGS, "BYOK_VENDOR__ORGANISATION_SESSION_TAG": "true"}
    data = tmp_path_factory.mktemp("tagging")
    async with DevStack(data, Ports.pick_free(), database_seconds=0.3, settings=settings, vendor=VENDOR) as stack:
        yield StackHarness(stack, await stack.connect_service(), AwsHarness(f"http://{HOST}:{stack.ports.aws}"))


async def make_keys(machine: StackHarness, name: str, organisation: str | None) -> KeyPair:
    return await asyncio.to_thread(machine.stack.customer.ensure_key_pair, name, organisation)


def list_fields(keys: KeyPair, **more: Any) -> dict[str, Any]:
    return {"s3_key_arn": keys.s3_key_arn, "rds_key_arn": keys.rds_key_arn, **more}


async def register_customer_account(machine: StackHarness, organisation: str) -> None:
    """Register the customer's account for one organisation only."""
    for other in {"acme", "globex"} - {organisation}:
        await machine.service.unregister_account(AccountRequest(organisation=other, account=CUSTOMER_ACCOUNT))
    await machine.service.register_account(AccountRequest(organisation=organisation, account=CUSTOMER_ACCOUNT))


async def test_key_policy_for_one_organisation_refuses_another_one(tagging: StackHarness) -> None:
    await register_customer_account(tagging, "acme")
    keys = await make_keys(tagging, "prod", "acme")
    mine = tagging.build_request(environment_id="acme-prod", organisation="acme", **list_fields(keys))

    assert (await tagging.provision(mine)).phase is Phase.READY

    others = await make_keys(tagging, "other", "acme")
    asked = {**list_fields(others), "region": REGION, "organisation": "globex"}
    checked = await tagging.service.check_keys(CheckKeysRequest.model_validate(asked))
    assert {problem.code for problem in checked.findings} == {"byok.AccountNotRegistered"}  # contract 146

    # The registry now allows globex to use keys in this account. The key policies still require acme's tag.
    await register_customer_account(tagging, "globex")
    theirs = tagging.build_request(environment_id="globex-prod", organisation="globex", **list_fields(others))
    status = await tagging.provision(theirs)

    assert status.phase is Phase.STOPPED
    codes = {problem.key: problem.code for problem in status.problems}
    assert codes == {KeyPurpose.S3: "s3.AccessDenied", KeyPurpose.RDS: "rds.KMSKeyNotAccessibleFault"}
    for problem in status.problems:
        assert '"aws:PrincipalTag/organisation": "globex"' in text_of(problem.remediation)
        assert '"Sid": "AllowAtaccamaPlatform' in text_of(problem.remediation)
    assert tagging.list_environment_clusters("globex-prod") == []


async def test_key_check_proves_both_keys_in_the_organisations_session(tagging: StackHarness) -> None:
    await register_customer_account(tagging, "acme")
    keys = list_fields(await make_keys(tagging, "checked", "acme"), region=REGION, key_grace_seconds=0)
    asked = CheckKeysRequest.model_validate({**keys, "organisation": "acme", "prove_aurora_key": True})

    result = await tagging.service.check_keys(asked)

    assert (result.keys.s3.verdict, result.keys.rds.verdict) == (KeyVerdict.PROVED, KeyVerdict.PROVED)


async def test_environment_of_the_vendor_needs_no_tag(tagging: StackHarness) -> None:
    keys = await make_keys(tagging, "own", None)
    status = await tagging.provision(tagging.build_request(environment_id="own", **list_fields(keys)))
    assert status.phase is Phase.READY


async def test_organisations_have_different_external_ids_and_a_foreign_role_is_refused(tagging: StackHarness) -> None:
    await register_customer_account(tagging, "acme")
    service, customer = tagging.service, tagging.stack.customer
    ids = {name: await service.get_external_id(name) for name in ("acme", "globex", None)}
    assert len(set(ids.values())) == 3
    keys = await make_keys(tagging, "named", "acme")
    roles = {
        name: await asyncio.to_thread(customer.ensure_tenant_role, f"named-{name}", keys, ids[name])
        for name in ("acme", "globex")
    }
    request = tagging.build_request(environment_id="acme-named", organisation="acme", **list_fields(keys))
    assert (await tagging.provision(request)).phase is Phase.READY

    asked = await service.build_reconcile_tenant_request("acme-named", None, roles["globex"], key_grace_seconds=0)
    with pytest.raises(NamingStoppedError) as caught:
        await service.reconcile_tenant(asked)
    assert [problem.code for problem in caught.value.problems] == ["sts.AccessDenied"]

    right = await service.build_reconcile_tenant_request("acme-named", None, roles["acme"])
    assert len((await service.reconcile_tenant(right)).keys) == 2
