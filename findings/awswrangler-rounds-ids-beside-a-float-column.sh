#!/usr/bin/env bash
# Finding: if a DataFrame has an integer column and a float column, and no column of another type, awswrangler's to_sql
# sends the integers as floats. IDs beyond 2^53 arrive rounded, in a BIGINT column that the same call creates.
#
# Versions: awswrangler 3.17.1, pandas 3.1.1, pg8000 1.31.6. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: the id 1378260489959724229 as int64, written to Aurora with the RDS Data API (data_api.rds.to_sql) and to
# PostgreSQL (postgresql.to_sql). The script records what awswrangler sends, and needs no database.
#   columns id, cost (float)               doubleValue 1378260489959724288, with both functions
#   columns id, cost (float), name (text)  longValue 1378260489959724229
#   columns id, count (integer)            longValue 1378260489959724229
#   pandas' own to_sql, columns id, cost   1378260489959724229
#
# Expected: the integer that is in the DataFrame, regardless of the other columns. Both functions declare the column as
# BIGINT, but take the rows from DataFrame.values, which converts all columns to a common type. We found no issue about
# this; issue 1115 of aws/aws-sdk-pandas is about nulls in to_parquet.
#
# Affected: tables with 64-bit IDs and measurements, such as usage records. Different IDs become equal, joins find
# nothing or the wrong row, and there is no error. Data looks correct in tests with short IDs or with a text column.
# Exits with 0 while awswrangler behaves this way, and with 1 once it sends the integers.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check \
  awswrangler==3.17.1 pandas==3.1.1 pg8000==1.31.6 boto3==1.43.117 2> /dev/null

cat > ids.py << 'PYTHON'
import json
import os
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pg8000

ID = 1378260489959724229
sent: list[Any] = []
created: list[str] = []
ANSWERS = {
    "/BeginTransaction": {"transactionId": "1"},
    "/CommitTransaction": {"transactionStatus": "Transaction Committed"},
    "/Execute": {"columnMetadata": [], "records": []},
    "/BatchExecute": {"updateResults": []},
}


class DataApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Record the statement that creates the table, and the id in the first row."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request.get("sql", "").startswith("CREATE TABLE"):
            created.append(request["sql"])
        if self.path == "/BatchExecute":
            sent.append(request["parameterSets"][0][0]["value"])
        body = json.dumps(ANSWERS[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Cursor:
    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        """Keep what was recorded."""

    def execute(self, sql: str, *_: object) -> None:
        if sql.startswith("CREATE TABLE"):
            created.append(sql)

    def executemany(self, _: str, rows: Any) -> None:
        sent.append(next(iter(rows))[0])

    def fetchall(self) -> list[Any]:
        return []


class Postgres(pg8000.Connection):
    def __init__(self) -> None:
        """Do not connect."""

    def cursor(self) -> Cursor:
        return Cursor()

    def commit(self) -> None:
        """Commit nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), DataApi)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AWS_ENDPOINT_URL_RDS_DATA"] = f"http://127.0.0.1:{server.server_port}"

import awswrangler as wr  # noqa: E402
import pandas as pd  # noqa: E402

aurora = wr.data_api.rds.connect(
    "arn:aws:rds:eu-central-1:111122223333:cluster:acme",
    "app",
    secret_arn="arn:aws:secretsmanager:eu-central-1:111122223333:secret:acme",
)


def write(**columns: list[Any]) -> Any:
    """Write a table with the RDS Data API, and return the id that was sent."""
    wr.data_api.rds.to_sql(pd.DataFrame({"id": [ID], **columns}), aurora, "usage", "app", sql_mode="ansi")
    return sent.pop()


seen: dict[str, Any] = {
    "Data API: id, cost": write(cost=[0.5]),
    "Data API: id, cost, name": write(cost=[0.5], name=["acme"]),
    "Data API: id, count": write(count=[1]),
}
usage = pd.DataFrame({"id": [ID], "cost": [0.5]})
wr.postgresql.to_sql(usage, Postgres(), table="usage", schema="public")
seen["PostgreSQL: id, cost"] = sent.pop()
with sqlite3.connect(":memory:") as database:
    usage.to_sql("usage", database, index=False)
    seen["pandas: id, cost"] = database.execute("SELECT id FROM usage").fetchone()[0]

for title, value in seen.items():
    print(title, "->", value)
rounded = 1378260489959724288.0
expected = {
    "Data API: id, cost": {"doubleValue": rounded},
    "Data API: id, cost, name": {"longValue": ID},
    "Data API: id, count": {"longValue": ID},
    "PostgreSQL: id, cost": rounded,
    "pandas: id, cost": ID,
}
types = {sql.partition('"id" ')[2].partition(",")[0] for sql in created}
print("type of the column:", *types)
sys.stdout.flush()
os._exit(0 if seen == expected and types == {"BIGINT"} else 1)
PYTHON
env -u AWS_PROFILE AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example AWS_DEFAULT_REGION=eu-central-1 \
  tools/bin/python -W ignore ids.py
