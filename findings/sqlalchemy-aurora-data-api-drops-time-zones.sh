#!/usr/bin/env bash
# Finding: for a column DateTime(timezone=True), the SQLAlchemy dialect for the RDS Data API drops the time zone of a
# datetime without converting it. 12:00 in Berlin is stored as 12:00 UTC, and filters compare with the wrong time.
#
# Versions: sqlalchemy-aurora-data-api 0.5.0, aurora-data-api 0.5.0, SQLAlchemy 2.1.9, boto3 1.44.5. Observed on
# 2026-11-30, Python 3.11, Linux x86_64.
# Input: a server that records what the dialect sends, and 2026-11-30 11:00:00.123456 UTC in two time zones.
#   INSERT in UTC                 2026-11-30 11:00:00.123, CAST(:at AS TIMESTAMP WITHOUT TIME ZONE)
#   INSERT in Europe/Berlin       2026-11-30 12:00:00.123, CAST(:at AS TIMESTAMP WITHOUT TIME ZONE)
#   WHERE at >= in Europe/Berlin  2026-11-30 12:00:00.123, CAST(:at_1 AS TIMESTAMP WITHOUT TIME ZONE)
#   SELECT                        a datetime without a time zone
#   CREATE TABLE                  at TIMESTAMP WITH TIME ZONE
#
# Expected: the dialect converts the time to UTC, or sends its offset, as SQLAlchemy's dialects for psycopg and asyncpg
# do; or raises an error. The two inputs are the same time, and the column has a time zone. The Data API returns such
# columns in UTC, so the dialect can also add the time zone to the results. We found no issue about this.
#
# Affected: applications that write local times to Aurora PostgreSQL with the RDS Data API. The stored times are wrong
# by the offset, which changes with daylight saving time. Tests that use only UTC pass.
# Exits with 0 while the dialect behaves this way, and with 1 once it changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check sqlalchemy-aurora-data-api==0.5.0 aurora-data-api==0.5.0 \
  sqlalchemy==2.1.9 boto3==1.44.5 tzdata==2026.6 2> /dev/null

cat > times.py << 'PYTHON'
import json
import os
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import sqlalchemy as sa
from sqlalchemy_aurora_data_api import register_dialects

REGION = "eu-central-1"
ANSWERS = {  # to what SQLAlchemy asks when it connects, and to the SELECT
    "pg_catalog.version()": "PostgreSQL 16.6",
    "current_schema()": "public",
    "standard_conforming_strings": "on",
    "transaction isolation": "read committed",
    "SELECT event.at": "2026-11-30 11:00:00.123",
}
statements: list[tuple[str, Any]] = []


class DataApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Record the statement, and answer as the Data API does."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sql = request.get("sql", "")
        answer: dict[str, Any] = {"transactionId": "1", "transactionStatus": "Transaction Committed"}
        if sql:
            times = [each["value"]["stringValue"] for each in request.get("parameters", []) if each["name"][:2] == "at"]
            statements.append((" ".join(sql.split()), times))
            values = [value for text, value in ANSWERS.items() if text in sql]
            column = {"name": "value", "typeName": "timestamptz" if "event" in sql else "text"}
            answer = {"columnMetadata": [column], "records": [[{"stringValue": each}] for each in values]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), DataApi)
threading.Thread(target=server.serve_forever, daemon=True).start()
register_dialects()
engine = sa.create_engine(
    "postgresql+auroradataapi://:@/app",
    connect_args={
        "aurora_cluster_arn": f"arn:aws:rds:{REGION}:111122223333:cluster:acme",
        "secret_arn": f"arn:aws:secretsmanager:{REGION}:111122223333:secret:acme",
        "rds_data_client": boto3.client("rds-data", REGION, endpoint_url=f"http://127.0.0.1:{server.server_port}"),
    },
)
event = sa.Table("event", sa.MetaData(), sa.Column("at", sa.DateTime(timezone=True)))
in_utc = datetime(2026, 11, 30, 11, 0, 0, 123456, tzinfo=UTC)
in_berlin = in_utc.astimezone(ZoneInfo("Europe/Berlin"))
assert in_utc == in_berlin

with engine.begin() as connection:
    statements.clear()
    connection.execute(sa.schema.CreateTable(event))
    connection.execute(event.insert().values(at=in_utc))
    connection.execute(event.insert().values(at=in_berlin))
    connection.execute(sa.select(sa.func.count()).select_from(event).where(event.c.at >= in_berlin))
    read = connection.execute(sa.select(event.c.at)).scalar_one()
for sql, times in statements:
    print(sql, *times)
print("read:", read.isoformat())

insert = "INSERT INTO event (at) VALUES (CAST(:at AS TIMESTAMP WITHOUT TIME ZONE))"
count = "SELECT count(*) AS count_1 FROM event WHERE event.at >= CAST(:at_1 AS TIMESTAMP WITHOUT TIME ZONE)"
expected = [
    ("CREATE TABLE event ( at TIMESTAMP WITH TIME ZONE )", []),
    (insert, ["2026-11-30 11:00:00.123"]),
    (insert, ["2026-11-30 12:00:00.123"]),
    (count, ["2026-11-30 12:00:00.123"]),
    ("SELECT event.at FROM event", []),
]
sys.stdout.flush()
os._exit(0 if statements == expected and read.tzinfo is None else 1)
PYTHON
env -u AWS_PROFILE AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example tools/bin/python -W ignore times.py
