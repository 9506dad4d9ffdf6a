"""Every command has a complete `--help` page, whose lines are wrapped correctly at three terminal widths."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from byok.cli.app import app
from byok.cli.help_text import MAX_WIDTH, parse_help_text

WIDTHS = (60, 80, 120)


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))
LEAVES = {path: command for path, command in COMMANDS.items() if not hasattr(command, "commands")}


def join(path: tuple[str, ...]) -> str:
    return " ".join(("byok", *path))


@cache
def render_help(path: tuple[str, ...], width: int) -> list[str]:
    ended = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": str(width)}, prog_name="byok")
    assert ended.exit_code == 0, ended.output
    return str(ended.stdout).splitlines()


def first_word(line: str) -> str:
    """Return the first word of a line, or the first text in square brackets, which must not be split across lines."""
    return re.match(r"\[[^\]]*\]\S*|\S+", line.strip())[0]  # type: ignore[index]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", COMMANDS, ids=join)
def test_help_is_laid_out_for_the_width_of_the_terminal(path: tuple[str, ...], width: int) -> None:
    lines = render_help(path, width)
    known = set(" ".join(render_help(path, 10_000)).split())  # the words of the unwrapped page
    examples = {line.strip(" \\") for line in "\n".join(lines).partition("\nExamples:\n")[2].splitlines()}
    for line in lines:
        assert len(line) <= min(width, MAX_WIDTH)
        assert line == line.rstrip()
        assert "…" not in line or "BYOK_…" in line or "TEMPORAL_…" in line
        assert not line.endswith("...")
        assert set(line.split()) - {"\\"} <= known, "no word may be broken"
    for one, other in pairwise(lines):
        indent, below = (len(text) - len(text.lstrip()) for text in (one, other))
        continues = other.strip(" \\") not in examples and not re.search(r"\S {2,}\S", other)
        if one and other and below >= indent >= 2 and continues and other.strip()[0].islower():
            column = re.match(r" *\S.*  (?=\S)", one)
            if below == indent or (column and len(column[0]) == below):
                assert len(one) + 1 + len(first_word(other)) > min(width, MAX_WIDTH), "a line ends too early"


@pytest.mark.parametrize("path", LEAVES, ids=join)
def test_help_has_a_summary_examples_and_exit_codes(path: tuple[str, ...]) -> None:
    text = parse_help_text(LEAVES[path].help)
    assert re.fullmatch(r"[A-Z].*\.", text.summary)
    assert len(text.summary) <= 90
    assert text.examples
    assert all(join(path) in example for example in text.examples)
    codes = [int(code) for code, _ in text.exit_codes]
    assert codes == sorted(set(codes))
    assert codes[0] == 0


@pytest.mark.parametrize("path", LEAVES, ids=join)
def test_examples_use_options_that_exist(path: tuple[str, ...]) -> None:
    command = LEAVES[path]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"-h", "--help"}
    for example in parse_help_text(command.help).examples:
        own = example[example.index(join(path)) :]
        assert set(re.findall(r"(?<= )--?[a-z][a-z0-9-]*", own)) <= known


@pytest.mark.parametrize("path", LEAVES, ids=join)
def test_required_options_are_marked_and_in_the_usage_line(path: tuple[str, ...]) -> None:
    lines = render_help(path, 120)
    for one in LEAVES[path].params:
        if one.required and one.opts[0].startswith("-"):
            assert f" {one.opts[-1]} " in lines[0]
            (described,) = (line for line in lines if line.startswith(f"  {one.opts[-1]} "))
            assert described.endswith("[required]")


def test_commands_are_listed_in_groups() -> None:
    lines = render_help((), 80)
    for panel in ("Environments:", "Keys and policies:", "Operations:", "On this machine:", "Examples:"):
        assert panel in lines
    assert "Commands:" not in lines, "every command has a group"


BAD = {
    (): [["nonsense"], ["--nonsense"], ["statu"]],
    ("list",): [["--limit", "0"], ["--phase", "nope"], ["--region", "x"], ["-o", "yaml"], ["--limit"], ["--sort", "x"]],
    ("create",): [
        ["--key-grace-seconds", "abc"],
        ["--on-failure", "x"],
        ["--file", "/nonexistent"],
        ["--name", "A_B", "--region", "x"],
        [],
        ["--name", "acme", "--region", "eu-central-1", "--s3-key-arn", "alias/x", "--rds-key-arn", "alias/y"],
    ],
    ("check",): [["--region", "x"], ["--region"], ["--region", "eu-central-1", "--payload", "{}"]],
    ("policy", "check"): [["s3", "/nonexistent", "--region", "eu-central-1"], ["zz", "-", "--region", "eu-central-1"]],
    ("policy", "merge"): [["s3", "/nonexistent", "--region", "eu-central-1"]],
    ("accounts", "allow"): [["A_B", "12"]],
    ("replay",): [[], ["acme", "--all"], ["acme", "--payload", "nonsense"]],
    ("delete",): [["acme", "--confirm", "other"], ["acme"]],
    ("tenant",): [["acme", "x y z/"], ["acme", "--tenant-role-arn", "nonsense"]],
    ("template",): [["nonsense"], ["terraform"]],
    ("token",): [["A_B"], ["acme", "--days", "0"]],
    ("up",): [["--web-port", "99999"]],
    ("diagnose",): [["/nonexistent"]],
    ("onboarding",): [["--region", "nowhere"], ["--region", "eu-central-1"]],
    ("notifications", "list"): [["--environment", "A_"]],
    ("notifications", "test"): [["A B"]],
    ("doctor",): [["--customer"], ["--customer", "--region", "nowhere"]],
}
LEAKS = re.compile(r"Value error|Input should|pydantic|typer|click|Traceback|Errno|Error:|validation error")


def bad_arguments() -> list[tuple[str, ...]]:
    """Return invalid arguments for every command.

    The list contains the arguments in `BAD`, an unknown option, missing arguments and too many arguments.
    """
    given = [(*path, *arguments) for path, calls in BAD.items() for arguments in calls]
    for path, command in LEAVES.items():
        given.append((*path, "--nonsense"))
        if any(one.required for one in command.params):
            given.append(path)
        given.append((*path, *["x"] * 6))
    return given


@pytest.mark.parametrize("arguments", bad_arguments(), ids=" ".join)
def test_error_in_the_arguments_is_one_line_that_begins_with_error(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYOK_PLATFORM_ROLE_ARN", "arn:aws:iam::111122223333:role/AtaccamaPlatform")
    ended = CliRunner().invoke(app, arguments, prog_name="byok", input="")
    assert ended.exit_code == 2, ended.output
    first, *rest = ended.stderr.splitlines()
    assert re.match(r"error: [-A-Z'a-z/{]", first)
    assert not LEAKS.search(ended.stderr)
    if rest:  # the rest refers to the help page, or lists the problems with the request
        assert re.match(r"See: byok.* --help$", rest[0]) or first.startswith("error: Nothing was started")
