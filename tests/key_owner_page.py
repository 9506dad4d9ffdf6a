"""Renders docs/what-happens-when.md from `byok.domain.key_owner_acts`."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from byok.domain.key_owner_acts import ACTS, CELLS, Act, Cell, Resource, Source

TEST_FILE: Final = "tests/localaws/test_what_happens_when.py"

TESTS: Final[dict[Resource, str]] = {
    Resource.OBJECTS: "test_existing_objects",
    Resource.WRITES: "test_new_objects",
    Resource.RUNNING_CLUSTER: "test_running_cluster",
    Resource.STOPPED_CLUSTER: "test_stopped_cluster",
    Resource.SNAPSHOTS: "test_snapshots",
    Resource.BACKUPS: "test_automated_backups",
    Resource.SECRET: "test_managed_password",
}
"""For each resource, the test that proves the resource's cells. Each test is parametrized with the acts."""

AURORA_CHECK_TEST: Final = "test_aurora_key_check"
UNDO_TESTS: Final = ("test_undo", "test_cluster_works_after_undo_and_start")

_WIDTH: Final = 100
_INTRODUCTION: Final = """\
This page, for key administrators and auditors, says how each action of a key owner affects each resource of
an environment: what happens, after how long, whether you can undo it, and what byok reports.

**To stop access to the data, disable the key. Removing the platform's statements from the key policy does not
stop a running Aurora cluster**, because RDS uses the grant that it created with the cluster.

An environment has two keys. The rows about S3 objects apply to actions on the S3 key, and the other rows
apply to actions on the Aurora key.
"""
_READING: Final = f"""\
A **stopped** cluster is one that the vendor has stopped. A **running** cluster that loses access to its key
gets the status `inaccessible-encryption-credentials-recoverable`, and after 7 days the status
`inaccessible-encryption-credentials`. This page calls such a cluster inaccessible. Where a table says that the
vendor must start the cluster, byok does so for a ready environment, unless `BYOK_RECOVER_CLUSTERS` is false
([recovery](health.md#recovery)).

**byok reports** a problem code the next time that it uses the key or the resource: in a key check (`byok
check`), when it provisions, replays or deletes an environment, or when it checks the [health](health.md) of
a ready environment, which it does every few minutes. The [grace period](glossary.md) is how long byok retries
a denied call.

**After** is how long the effect usually takes. AWS does not give a limit: a change to a key usually reaches
S3 and RDS within seconds, but can take several minutes. S3 caches S3 Bucket Keys, and AWS does not say for
how long.

**Proof** names the test for the row in [{TEST_FILE}](../{TEST_FILE}), and the labels of the
[sources](#sources). The tests make AWS API calls to the [local AWS emulator](local-aws.md), which follows
these sources. *AWS only* marks a row that the emulator cannot prove. Durations come from the sources, and no
test measures them. *We infer* marks what AWS does not state directly.
"""


def render_page() -> str:
    """Render the whole page."""
    parts = [
        "# What happens when",
        *map(_wrap, _INTRODUCTION.split("\n\n")),
        "## Overview",
        _render_table(("action", *Resource), (_overview_row(act) for act in Act)),
        "## How to read the tables",
        *map(_wrap, _READING.split("\n\n")),
        *(part for act in Act for part in _render_act(act)),
        "## Sources",
        _render_table(("label", "source"), ((source.name, str(source)) for source in Source)),
    ]
    return "\n\n".join(parts) + "\n"


def get_proof(act: Act, resource: Resource) -> str:
    """Return the id of the test that proves a cell, without the file, or "" if only AWS shows this behaviour."""
    return f"{TESTS[resource]}[{act}]" if CELLS[act, resource].tested else ""


def _overview_row(act: Act) -> tuple[str, ...]:
    title = ACTS[act].title
    outcomes = [CELLS[act, resource].outcome for resource in Resource]
    return (f"[{title}](#{_anchor(title)})", *outcomes)


def _render_act(act: Act) -> Iterator[str]:
    facts = ACTS[act]
    yield f"## {facts.title}"
    calls = " and ".join(f"`{call}`" for call in facts.calls)
    yield _wrap(f"{f'In the API: {calls}. ' if calls else ''}{facts.note}")
    head = ("resource", "what happens", "after", "can you undo it?", "byok reports", "proof")
    yield _render_table(head, (_cell_row(act, resource) for resource in Resource))
    yield _wrap(_describe_checks(act))
    if facts.undoable:
        tests = " and ".join(f"`{name}[{act}]`" for name in UNDO_TESTS)
        yield _wrap(f"The tests {tests} undo this action and check that the objects and the cluster work again.")


def _describe_checks(act: Act) -> str:
    def verdict(code: str) -> str:
        return f"`{code}`" if code else "that the key is verified"

    s3, aurora = CELLS[act, Resource.WRITES].code, ACTS[act].aurora_check
    proofs = f"`{get_proof(act, Resource.WRITES)}`, `{AURORA_CHECK_TEST}[{act}]`"
    if not s3 and not aurora:
        return f"A key check reports that both keys are verified ({proofs})."
    return (
        f"A key check reports {verdict(s3)} if you do this to the S3 key, and {verdict(aurora)} if you do this to the "
        f"Aurora key ({proofs})."
    )


def _cell_row(act: Act, resource: Resource) -> tuple[str, ...]:
    cell = CELLS[act, resource]
    return (resource, cell.what, cell.after, cell.undo, cell.says, _describe_proof(act, resource, cell))


def _describe_proof(act: Act, resource: Resource, cell: Cell) -> str:
    test = get_proof(act, resource)
    return f"{f'`{test}`' if test else '*AWS only*'}; {', '.join(source.name for source in cell.sources)}"


def _render_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" if line[0] != "---" else f"|{'|'.join(line)}|" for line in lines)


def _anchor(title: str) -> str:
    """Return the anchor that GitHub generates for a heading."""
    return title.lower().replace("'", "").replace(" ", "-")


def _wrap(paragraph: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
