"""`python -m bench.peers`: measure tools that do the same work as byok, and compare each with a bare boto3 script."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from bench.peers import processes
from bench.peers.catalogue import FLOOR_NAME, PEERS, Peer
from bench.peers.measure import MeasurementLimits, PeerError, measure
from bench.peers.report import PeerFigures, PeerRow, as_json, render_table


def measure_peer(peer: Peer, folder: Path, limits: MeasurementLimits) -> PeerRow:
    """Measure the bare boto3 script and then immediately the peer, so that both run under the same conditions."""
    print(f"{peer.title}: measuring", file=sys.stderr, flush=True)
    floor: PeerFigures | None = None
    try:
        if peer.name != FLOOR_NAME:
            floor, _ = measure(peers_by_name()[FLOOR_NAME], folder / f"{FLOOR_NAME}-before-{peer.name}", limits)
        figures, calls = measure(peer, folder / peer.name, limits)
    except PeerError as error:
        why_not = str(error) if floor or peer.name == FLOOR_NAME else f"its floor {error}"
        print(f"{peer.title}: {why_not}", file=sys.stderr, flush=True)
        return PeerRow(peer, why_not=why_not)
    return PeerRow(peer, figures, floor, calls_by_service=calls)


def peers_by_name() -> dict[str, Peer]:
    """Return the peers, keyed by folder name."""
    return {peer.name: peer for peer in PEERS}


def main() -> None:
    """Read the arguments, measure the peers, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"peers to measure (default: all): {', '.join(peers_by_name())}"
    )
    parser.add_argument("--environments", type=int, default=10, help="number of environments after the first one")
    parser.add_argument("--concurrency", type=int, default=10, help="maximum number of environments in progress")
    parser.add_argument("--seconds", type=float, default=900, help="time limit per peer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    given = parser.parse_args()
    if unknown := set(given.names) - set(peers_by_name()):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    if given.environments < 1 or given.concurrency < 1:
        parser.error("--environments and --concurrency must be at least 1")
    if sys.platform != "linux":
        parser.error("this benchmark runs only on Linux, because it reads CPU time and memory from /proc")

    limits = MeasurementLimits(given.environments, given.concurrency, given.seconds)
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    rows = []
    folder = Path(tempfile.mkdtemp(prefix="byok-peers-"))
    try:
        for peer in PEERS:
            if not given.names or peer.name in {FLOOR_NAME, *given.names}:
                rows.append(measure_peer(peer, folder, limits))
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit("terminated")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave anything running
        processes.end_descendants(without=[])
    print(render_table(rows, given.environments, given.concurrency))
    if given.json:
        given.json.write_text(json.dumps(as_json(rows, given.environments, given.concurrency), indent=2) + "\n")
    if any(row.figures is None for row in rows):
        print(f"The logs of failed measurements are in {folder}.", file=sys.stderr)
    else:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
