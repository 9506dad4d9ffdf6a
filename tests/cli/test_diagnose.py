"""`byok doctor --customer` prints the key administrator's script; `byok diagnose` diagnoses the collected data."""

from pathlib import Path

import pytest

from byok.domain.arns import KeyPurpose
from tests.cli.conftest import Run
from tests.cli.test_keys import KEYS, PAYLOAD, ROLE, WHERE
from tests.collected_keys import build_collected_keys, build_metadata_change, valid_key_facts


def test_customer_script_contains_its_values(run: Run) -> None:
    ended = run("doctor", "--customer", *WHERE, "--s3-key-arn", PAYLOAD)
    assert ended.code == 0
    for text in (*KEYS, ROLE, "get-key-policy"):
        assert text in ended.out
    assert run("doctor", "--customer").code == 2
    assert "S3_KEY_ARN=''" in run("doctor", "--customer", *WHERE).out


def test_diagnosis_of_a_blocking_key_exits_3(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(
        build_collected_keys(
            s3=build_metadata_change(KeyState="Disabled")(valid_key_facts(KeyPurpose.S3))
        ).model_dump_json()
    )

    ended = run("diagnose", str(file))

    assert ended.code == 3
    assert "S3 key: The S3 key is disabled\n  key.Disabled, stops provisioning\n" in ended.out
    assert "aws kms enable-key" in ended.out
    assert run("diagnose", str(file), "-o", "json").json["ok"] is False


def test_diagnosis_of_valid_keys_exits_0(run: Run) -> None:
    ended = run("diagnose", "-", stdin=build_collected_keys().model_dump_json())
    assert ended.code == 0
    assert "The collected data shows no problem" in ended.out
    assert run("diagnose", "-", "-o", "json", stdin=build_collected_keys().model_dump_json()).json == {
        "ok": True,
        "findings": [],
    }


@pytest.mark.parametrize("unseen", [{"error": "Unable to locate credentials"}, {}])
def test_diagnosis_without_data_exits_3_and_confirms_nothing(run: Run, unseen: dict[str, str]) -> None:
    nothing = dict.fromkeys(("describe_key", "key_policy", "rotation", "aliases", "tags"), unseen)
    keys = {which.value: {"arn": valid_key_facts(which)["arn"], **nothing} for which in KeyPurpose}
    sent = build_collected_keys(caller=unseen, **keys).model_dump_json()

    ended = run("diagnose", "-", stdin=sent)

    assert ended.code == 3
    assert "shows no problem" not in ended.out
    assert "Cannot tell whether these keys can be used" in ended.out
    assert run("diagnose", "-", "-o", "json", stdin=sent).json["ok"] is None
