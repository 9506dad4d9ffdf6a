"""Platform-managed keys: the fields of a request, the plan, and the keys that the platform's settings can contain."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from byok.domain.arns import AWS_MANAGED_KEYS, KeyPair, KeyPurpose
from byok.domain.encryption import PlatformKeys, find_encryption_of_key
from byok.domain.models import CheckKeysRequest, DeleteRequest, ProvisionRequest
from byok.domain.phases import Encryption
from byok.domain.planning import plan_deletion, plan_environment
from byok.settings import Settings, format_settings_error
from tests.requested_keys import ON_PLATFORM_KEYS
from tests.unit.test_planning import AT, PLATFORM, RDS, RUN, S3

REGION = "eu-central-1"
ASKED = {"environment_id": "acme", "region": REGION}
OURS = KeyPair(
    f"arn:aws:kms:{REGION}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    f"arn:aws:kms:{REGION}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
)
ROLE = "arn:aws:iam::444455556666:role/TenantRole"


def read_errors(model: type[Any], values: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as refusal:
        model.model_validate(values)
    return {".".join(map(str, error["loc"])): error["msg"] for error in refusal.value.errors()}


def test_request_without_keys_never_becomes_platform_managed() -> None:
    said = "Field required, unless the request says `encryption: platform-managed`"
    assert read_errors(ProvisionRequest, ASKED) == {"s3_key_arn": said, "rds_key_arn": said}  # contract 99, 132
    assert read_errors(ProvisionRequest, {**ASKED, "s3_key_arn": S3}) == {"rds_key_arn": said}
    assert ProvisionRequest.model_validate({**ASKED, **ON_PLATFORM_KEYS}).key_pair is None
    keys = {"s3_key_arn": S3, "rds_key_arn": RDS}
    assert ProvisionRequest.model_validate({**ASKED, **keys}).key_pair == KeyPair(S3, RDS)


@pytest.mark.parametrize(
    ("values", "encryption"),
    [
        ({}, None),
        ({"s3_key_arn": S3}, Encryption.CUSTOMER_MANAGED),
        ({"rds_key_arn": RDS}, Encryption.CUSTOMER_MANAGED),
        ({"encryption": "customer-managed"}, Encryption.CUSTOMER_MANAGED),
        (ON_PLATFORM_KEYS, Encryption.PLATFORM_MANAGED),
    ],
)
def test_deletion_names_the_encryption_only_if_it_is_known(
    values: dict[str, Any], encryption: Encryption | None
) -> None:
    request = DeleteRequest.model_validate({**ASKED, "confirm": "acme", **values})
    assert request.named_encryption is encryption  # contract 137


@pytest.mark.parametrize(
    ("field", "value"),
    [("s3_key_arn", S3), ("rds_key_arn", RDS), ("tenant_role_arn", ROLE), ("stack_name", "our-keys")],
)
def test_platform_managed_request_refuses_what_belongs_to_customer_keys(field: str, value: Any) -> None:
    errors = read_errors(ProvisionRequest, {**ASKED, **ON_PLATFORM_KEYS, field: value})
    assert list(errors) == [field]  # contract 9, 132
    assert "must be left out with `encryption: platform-managed`" in errors[field]


@pytest.mark.parametrize("model", [ProvisionRequest, DeleteRequest])
def test_payload_is_refused_with_platform_managed_keys(model: type[Any]) -> None:
    payload = {"S3KmsKeyArn": S3, "RdsKmsKeyArn": RDS}
    confirmed = {"confirm": "acme"} if model is DeleteRequest else {}
    errors = read_errors(model, {**ASKED, **confirmed, "encryption": "platform-managed", **payload})
    assert set(errors) == {"s3_key_arn", "rds_key_arn"}


def test_key_check_has_no_platform_managed_keys() -> None:
    assert "encryption" in read_errors(
        CheckKeysRequest, {"region": REGION, "s3_key_arn": S3, "rds_key_arn": RDS, "encryption": "platform-managed"}
    )


def test_unknown_encryption_is_named() -> None:
    assert list(read_errors(ProvisionRequest, {**ASKED, "encryption": "platform"})) == ["encryption"]


def request(**changes: Any) -> ProvisionRequest:
    return ProvisionRequest.model_validate({**ASKED, **ON_PLATFORM_KEYS, **changes})


def test_plan_uses_the_keys_of_the_settings_and_no_rule_for_customer_keys() -> None:
    keys = {REGION: PlatformKeys(s3_key_arn=OURS.s3_key_arn, rds_key_arn=OURS.rds_key_arn)}
    plan = plan_environment(request(), replace(PLATFORM, keys=keys), AT, RUN)
    environment = plan.environment
    assert plan.findings == ()  # contract 124 does not apply: the keys are in the platform's account
    assert KeyPair(environment.s3_key_arn, environment.rds_key_arn) == OURS  # contract 132
    assert (environment.encryption, environment.customer_keys) == (Encryption.PLATFORM_MANAGED, ())


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1"])
def test_plan_uses_the_aws_managed_keys_where_the_settings_name_none(region: str) -> None:
    keys = {} if region == REGION else {REGION: PlatformKeys(s3_key_arn=OURS.s3_key_arn, rds_key_arn=OURS.rds_key_arn)}
    plan = plan_environment(request(region=region), replace(PLATFORM, keys=keys), AT, RUN)
    assert KeyPair(plan.environment.s3_key_arn, plan.environment.rds_key_arn) == AWS_MANAGED_KEYS


def test_plan_assigns_a_tenant_name_but_labels_no_key() -> None:
    plan = plan_environment(request(), PLATFORM, AT, RUN)
    assert (plan.tenant_name, plan.tenant) == ("acme", None)  # contract 131
    named = plan_environment(request(tenant="globex"), PLATFORM, AT, RUN)
    assert (named.tenant_name, named.tenant, named.findings) == ("globex", None, ())
    (wrong,) = plan_environment(request(tenant="not legal"), PLATFORM, AT, RUN).findings
    assert wrong.code == "tenant.IllegalName"  # contract 105


def test_deletion_is_planned_without_keys_of_the_customer() -> None:
    plan = plan_deletion(DeleteRequest.model_validate({**ASKED, **ON_PLATFORM_KEYS, "confirm": "acme"}), PLATFORM, AT)
    assert plan.environment.customer_keys == ()


@pytest.mark.parametrize(
    ("s3_key", "rds_key", "encryption"),
    [
        (S3, RDS, Encryption.CUSTOMER_MANAGED),
        (OURS.s3_key_arn, OURS.rds_key_arn, Encryption.PLATFORM_MANAGED),
        (AWS_MANAGED_KEYS.s3_key_arn, None, Encryption.PLATFORM_MANAGED),
        (AWS_MANAGED_KEYS.s3_key_arn, RDS, Encryption.CUSTOMER_MANAGED),
        (None, None, Encryption.CUSTOMER_MANAGED),
    ],
)
def test_deletion_takes_the_encryption_from_the_keys_that_aws_reports(
    s3_key: str | None, rds_key: str | None, encryption: Encryption
) -> None:
    unknown = DeleteRequest.model_validate({**ASKED, "confirm": "acme"})
    found = plan_deletion(unknown, PLATFORM, AT).environment.with_keys(s3_key_arn=s3_key, rds_key_arn=rds_key)
    assert found.encryption is encryption  # contract 137
    assert (found.s3_key_arn, found.rds_key_arn) == (s3_key or "", rds_key or "")


def test_region_that_is_not_in_use_is_refused_for_platform_keys_too() -> None:
    (finding,) = plan_environment(request(region="us-east-1"), PLATFORM, AT, RUN).findings
    assert finding.code == "byok.RegionNotInUse"  # contract 137


def test_only_a_key_of_the_platform_account_stands_for_an_aws_managed_key() -> None:
    environment = plan_environment(request(), PLATFORM, AT, RUN).environment
    for which, arn in OURS.items():
        assert environment.expected_key_arn(which, arn) == arn
    assert environment.expected_key_arn(KeyPurpose.RDS, RDS) == AWS_MANAGED_KEYS.rds_key_arn
    assert environment.expected_key_arn(KeyPurpose.S3, None) == AWS_MANAGED_KEYS.s3_key_arn


@pytest.mark.parametrize(
    ("key", "encryption"),
    [
        (OURS.s3_key_arn, Encryption.PLATFORM_MANAGED),
        (AWS_MANAGED_KEYS.s3_key_arn, Encryption.PLATFORM_MANAGED),
        (S3, Encryption.CUSTOMER_MANAGED),
        (None, None),
        ("none", None),
    ],
)
def test_account_of_a_key_tells_whose_it_is(key: str | None, encryption: Encryption | None) -> None:
    assert find_encryption_of_key(key, "111122223333") is encryption  # contract 124


@pytest.mark.parametrize(("region", "arn"), [("eu-west-1", OURS.s3_key_arn), (REGION, S3)], ids=["region", "account"])
def test_platform_refuses_keys_of_another_region_or_account(region: str, arn: str) -> None:
    with pytest.raises(ValueError, match=f"{arn} is not a key of the platform's account 111122223333 in {region}"):
        replace(PLATFORM, keys={region: PlatformKeys(s3_key_arn=arn, rds_key_arn=arn)})


def test_settings_name_the_platform_keys_of_each_region(monkeypatch: pytest.MonkeyPatch) -> None:
    value = f'{{"{REGION}": {{"s3_key_arn": "{OURS.s3_key_arn}", "rds_key_arn": "{OURS.rds_key_arn}"}}}}'
    monkeypatch.setenv("BYOK_PLATFORM_KEYS", value)
    assert Settings().platform_keys[REGION].pair == OURS


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{"eu-central-9": {"s3_key_arn": "a", "rds_key_arn": "b"}}', "eu-central-1"),
        ('{"eu-central-1": {"s3_key_arn": "alias/ours", "rds_key_arn": "alias/ours"}}', "alias/ours is an alias name"),
        ('{"eu-central-1": {"s3_key_arn": "alias/ours"}}', "missing"),
        ("[]", "must be a JSON object, such as"),
    ],
)
def test_wrong_platform_keys_are_named(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv("BYOK_PLATFORM_KEYS", value)
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert said in format_settings_error(refusal.value)
    assert "BYOK_PLATFORM_KEYS" in format_settings_error(refusal.value)


def test_plan_of_customer_keys_stays_the_same() -> None:
    asked = ProvisionRequest.model_validate({**ASKED, "s3_key_arn": S3, "rds_key_arn": RDS})
    environment = plan_environment(asked, PLATFORM, AT, RUN).environment
    assert environment.customer_keys == (KeyPurpose.S3, KeyPurpose.RDS)
    assert environment.expected_key_arn(KeyPurpose.S3, OURS.s3_key_arn) == S3  # contract 99
