"""If something is missing, `byok doctor` reports what is missing and how to fix it, and exits with 1."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from byok.local.ports import Ports
from byok.local.stack import PROGRAMS_ROOT


def run_doctor(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    unused_address = f"127.0.0.1:{Ports.pick_free().temporal}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TEMPORAL_", "BYOK_"))}
    environment = {
        **clean,
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "TEMPORAL_ADDRESS": unused_address,
        "NO_COLOR": "1",
        **settings,
    }
    command = [str(PROGRAMS_ROOT / ".venv" / "bin" / "byok"), "doctor", "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_everything_missing_is_reported_check_by_check(tmp_path: Path) -> None:
    finished = run_doctor(tmp_path)

    assert finished.returncode == 1
    findings = {finding["name"]: finding for finding in json.loads(finished.stdout)["checks"]}
    assert not findings["Temporal"]["ok"]
    assert "TEMPORAL_ADDRESS" in findings["Temporal"]["fix"]
    assert not findings["AWS"]["ok"]
    assert findings["blueprint"]["ok"]


@pytest.mark.parametrize(
    ("setting", "value"), [("BYOK_PLATFORM_ROLE_ARN", "nonsense"), ("BYOK_COLOUR", "red"), ("BYOK_LOG_LEVEL", "LOUD")]
)
def test_invalid_setting_is_named(tmp_path: Path, setting: str, value: str) -> None:
    finished = run_doctor(tmp_path, **{setting: value})

    assert finished.returncode != 0
    said = (finished.stdout + finished.stderr).lower()
    assert setting.removeprefix("BYOK_").lower() in said
    assert "traceback" not in said


def test_unreadable_blueprint_is_a_finding(tmp_path: Path) -> None:
    finished = run_doctor(tmp_path, BYOK_BLUEPRINT=str(tmp_path / "none.yaml"))

    findings = {finding["name"]: finding for finding in json.loads(finished.stdout)["checks"]}
    assert finished.returncode == 1
    assert not findings["blueprint"]["ok"]
    assert "none.yaml" in findings["blueprint"]["detail"]


def test_audit_trail_that_is_not_shipped_is_a_finding(tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    audit.mkdir()
    (audit / "20260101T000000000000Z-0a1b2c3d.jsonl").write_text("{}\n")
    bucket = {"BYOK_AUDIT__BUCKET": "my-audit", "BYOK_AUDIT__BUCKET_OWNER": "111122223333"}
    for settings, ok in ((bucket, False), ({}, True)):
        finished = run_doctor(tmp_path, BYOK_AUDIT__DIRECTORY=str(audit), **settings)
        findings = {finding["name"]: finding for finding in json.loads(finished.stdout)["checks"]}
        assert findings["audit trail"]["ok"] is ok
        assert "1 files, 3 bytes" in findings["audit trail"]["detail"]
