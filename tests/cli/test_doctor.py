"""If something is missing, `byok doctor` reports what is missing and how to fix it, and exits with 1."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import byok.doctor
from byok.doctor import CheckResult, check_sweeps
from byok.domain.models import SweepOutcome
from byok.local.ports import Ports
from byok.local.programs import PROGRAMS_ROOT
from tests.cli.fakes import REGION, make_problem


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
    command = [str(PROGRAMS_ROOT / ".venv" / "bin" / "byok"), "doctor", "-o", "json"]
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


def minutes_ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def make_schedule(created: float = 600, **state: Any) -> SimpleNamespace:
    """Build the part of a schedule's description that `byok doctor` reads; `created` is the age in minutes."""
    state = {"paused": False, "note": None, **state}
    return SimpleNamespace(
        info=SimpleNamespace(created_at=minutes_ago(created)), schedule=SimpleNamespace(state=SimpleNamespace(**state))
    )


async def check(
    monkeypatch: pytest.MonkeyPatch, schedule: SimpleNamespace | None, sweep: SweepOutcome | None
) -> CheckResult:
    async def describe(*_: object) -> SimpleNamespace | None:
        return schedule

    async def read(*_: object) -> SweepOutcome | None:
        return sweep

    monkeypatch.setattr(byok.doctor, "describe_or_none", describe)
    monkeypatch.setattr(byok.doctor, "read_sweep", read)
    client = SimpleNamespace(get_schedule_handle=lambda _: None)
    return await check_sweeps(SimpleNamespace(client=client), REGION)  # type: ignore[arg-type]


async def test_recent_sweep_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    swept_at = minutes_ago(3.5)
    found = await check(monkeypatch, make_schedule(), SweepOutcome(region=REGION, swept_at=swept_at, checked=12))

    when = f"{swept_at:%Y-%m-%d %H:%M} UTC"
    assert (found.ok, found.fix) == (True, None)
    assert found.detail == f"{REGION}: last sweep 3 min ago ({when}), 12 environments checked"


async def test_new_schedule_passes_before_its_first_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await check(monkeypatch, make_schedule(created=3), None)).ok
    assert not (await check(monkeypatch, make_schedule(created=11), None)).ok


async def test_missing_schedule_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await check(monkeypatch, None, None)

    assert (found.ok, found.detail) == (False, f"the schedule key-health/{REGION} does not exist")


async def test_paused_schedule_fails_with_the_command_that_unpauses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = SweepOutcome(region=REGION, swept_at=minutes_ago(1))
    found = await check(monkeypatch, make_schedule(paused=True, note="ticket 42"), sweep)

    assert not found.ok
    assert found.detail.endswith("; the schedule is paused (ticket 42)")
    assert found.fix == f"temporal schedule toggle --unpause --schedule-id key-health/{REGION}"


async def test_old_sweep_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await check(monkeypatch, make_schedule(), SweepOutcome(region=REGION, swept_at=minutes_ago(11)))

    assert not found.ok
    assert f"all environments in {REGION} are UNKNOWN" in found.detail
    assert f"temporal schedule trigger --schedule-id key-health/{REGION}" in (found.fix or "")


async def test_sweep_without_answers_fails_with_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = SweepOutcome(region=REGION, swept_at=minutes_ago(1), unproved_count=7, cause=make_problem(None))
    found = await check(monkeypatch, make_schedule(), sweep)

    assert not found.ok
    assert "AWS did not answer about 7 environments: s3.TooManyBuckets: You have too many buckets." in found.detail
