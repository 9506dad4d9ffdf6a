"""Test the comparison with other tools: figures, the table, and the parsing of process data and signatures.

The tests do not run any of the other tools.
"""

import json
from pathlib import Path

import pytest

from bench.peers.catalogue import FLOOR_NAME, PEERS, Peer
from bench.peers.counted_moto import parse_service
from bench.peers.processes import Process
from bench.peers.report import COLUMN_HEADINGS, PeerFigures, PeerRow, as_json, render_table

FOLDER = Path(__file__).resolve().parents[2] / "bench" / "peers"
FLOOR_FIGURES = PeerFigures(1.0, 0.5, 10.0, 0.05, 50.0, 18.0)
FIGURES = PeerFigures(5.0, 5.0, 2.5, 0.2, 300.0, 18.0)
PEER = Peer("quick", "Quick", exempt=frozenset({"tags"}), remark="it tags nothing")


def test_every_figure_has_its_ratio_to_the_floor() -> None:
    assert FIGURES.ratios_to_floor(FLOOR_FIGURES) == pytest.approx(
        {
            "cold_wall_seconds": 5,
            "cold_cpu_seconds": 10,
            "per_second": 0.25,
            "cpu_seconds": 4,
            "peak_mib": 6,
            "calls": 1,
        }
    )


def test_figure_without_a_floor_has_no_ratio() -> None:
    assert "cpu_seconds" not in FIGURES.ratios_to_floor(PeerFigures(1.0, 0.5, 10.0, 0.0, 50.0, 18.0))


def test_table_shows_figures_ratios_and_remarks() -> None:
    lines = render_table([PeerRow(PEERS[0], FLOOR_FIGURES), PeerRow(PEER, FIGURES, FLOOR_FIGURES)], 20, 10).splitlines()
    assert "per s (20 environments, 10 at a time)" in lines[0]
    assert lines[2] == "| bare boto3 (floor) | 1.00 | 0.500 | 10.0 | 0.050 | 50.0 | 18.0 |"
    assert lines[3].startswith("| Quick | 5.00 (×5.00) | 5.00 (×10.0) | 2.50 (×0.250) | ")  # noqa: RUF001
    assert lines[-1] == "Quick: it tags nothing."


def test_failed_peer_has_a_reason_and_no_figures() -> None:
    row = PeerRow(PEER, why_not="there is no quick on PATH")
    (line,) = (one for one in render_table([row], 20, 10).splitlines() if "Quick" in one)
    assert line == "| Quick | not measured: there is no quick on PATH |  |  |  |  |  |"
    assert line.count("|") == len(COLUMN_HEADINGS) + 2
    assert as_json([row], 20, 10)["peers"] == {"quick": {"why_not": "there is no quick on PATH"}}


def test_reason_cannot_break_the_table() -> None:
    line = render_table([PeerRow(PEER, why_not="a | b")], 20, 10).splitlines()[2]
    assert "a / b" in line


def test_json_lists_omissions_and_calls_by_service() -> None:
    row = PeerRow(PEER, FIGURES, FLOOR_FIGURES, calls_by_service={"kms": 6})
    quick = json.loads(json.dumps(as_json([row], 20, 10)))["peers"]["quick"]
    assert quick["figures"]["per_second"] == 2.5
    assert quick["ratios"]["per_second"] == 0.25
    assert quick["does_not_make"] == ["tags"]
    assert quick["calls_by_service"] == {"kms": 6}


def test_call_belongs_to_the_service_in_its_signature() -> None:
    signature = (
        "AWS4-HMAC-SHA256 Credential=testing/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0"
    )
    assert parse_service(signature) == "kms"
    assert parse_service("") == "unsigned"


def test_process_with_an_unusual_name_is_parsed() -> None:
    times = "250 50 100 0"
    stat = f"42 (a) S 7) Z 41 42 42 0 -1 4194304 1 0 0 0 {times} 20 0 1 0 100 0 0"
    read = Process.parse(stat)
    assert (read.pid, read.parent, read.zombie) == (42, 41, True)
    assert read.cpu_seconds > 0


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_has_a_script_and_pinned_requirements(peer: Peer) -> None:
    assert (FOLDER / peer.name / "run.py").is_file()
    lines = (FOLDER / peer.name / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in lines if not line.startswith("#"))


def test_every_folder_is_a_peer_and_the_floor_comes_first() -> None:
    assert {file.parent.name for file in FOLDER.glob("*/run.py")} == {peer.name for peer in PEERS}
    assert PEERS[0].name == FLOOR_NAME
