"""The pages about problem codes: one for each code of byok and of AWS.

`docs/problems/*.md` describe the codes of byok. The table of AWS errors (`byok.domain.problems.aws_errors`) specifies
how byok reacts to AWS's codes, and the remedies explain how to fix the cause.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

from byok.domain import rds_statuses
from byok.domain.arns import KeyArnErrorCode, KeyPurpose
from byok.domain.problems.aws_errors import ERROR_RULES
from byok.domain.problems.aws_errors.rule import ErrorOutcome, ErrorRule
from byok.domain.problems.remediation import Remedy, RemedyContext, build_arn_remediation, build_remediation
from byok.domain.remediation import Remediation
from byok.domain.vendor import VendorProfile
from docsite.remedies import render_remedy

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "problems"
FAMILIES: Final = {
    "network": ("network.ConnectTimeoutError", "network.EndpointConnectionError", "network.ReadTimeoutError"),
    "aws": ("aws.NoCredentialsError",),
    "worker": ("worker.Timeout", "worker.Unfit"),
    "rds-status": tuple(f"rds.{status}" for status in sorted(rds_statuses.KEY_LOST)),
    "http": ("http.400", "http.404", "http.405", "http.413", "http.503"),
}
"""Codes that end with a name that another program chooses. The values are the codes that occur in practice."""

_SERVICES: Final = {
    "s3": ("Amazon S3", "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"),
    "rds": ("Amazon RDS", "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html"),
    "kms": ("AWS KMS", "https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html"),
    "sts": ("AWS STS", "https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html"),
}
_OUTCOMES: Final = {
    ErrorOutcome.STOP: "byok stops at once, because a retry cannot help until someone has acted.",
    ErrorOutcome.STOP_AFTER_GRACE: "byok retries for the grace period (30 seconds, `--key-grace-seconds`), because a "
    "change of a policy takes time to reach all of AWS. Then byok stops.",
    ErrorOutcome.RETRY: "byok retries, because the resource is busy. If that lasts too long, byok stops.",
    ErrorOutcome.HOLD: "byok holds the environment and retries for hours, with increasing delays: this is not the "
    "customer's fault, and it usually ends by itself.",
    ErrorOutcome.EXISTS: "byok expects this answer: it checks whether the existing resource is its own, and adopts it. "
    "You see the code only if the resource belongs to something else.",
    ErrorOutcome.ABSENT: "byok expects this answer: the resource does not exist yet, or not any more.",
}
_EXPECTED: Final = (ErrorOutcome.EXISTS, ErrorOutcome.ABSENT)
_KEY_ARN: Final = "arn:aws:kms:eu-central-1:444455556666:key/3d84b6a3-cc16-466a-9451-7404127c47c0"
_OTHER_KEY_ARN: Final = "arn:aws:kms:eu-central-1:444455556666:key/9c1f7a52-6b0e-4d55-8a3e-0d9f4f1f2a11"
_CONTEXT: Final = RemedyContext(
    region="eu-central-1",
    platform_role_arn="arn:aws:iam::111122223333:role/AtaccamaPlatform",
    vendor=VendorProfile(),
    key_arn=_KEY_ARN,
    other_key_arn=_OTHER_KEY_ARN,
    organisation="acme",
)
_EXAMPLE_VALUES: Final = (
    "The Region, the accounts and the ARNs in these steps are examples. The command line, the API and the wizard "
    "show the steps with your values."
)


@dataclass(frozen=True)
class ProblemPage:
    """The content of a page.

    Attributes:
        code: The problem code.
        title: What happened, in a sentence.
        actor: Who acts.
        body: The rest of the page, as Markdown.
    """

    code: str
    title: str
    actor: str
    body: str


def find_pages() -> Mapping[str, ProblemPage]:
    """Return the pages of all problem codes, with the codes as keys."""
    found = {page.code: page for page in _written_pages()}
    for code in KeyArnErrorCode:
        found[code.value] = _with_arn_remedy(found[code.value], code)
    found |= {page.code: page for page in _aws_pages() if page.code not in found}
    for family, codes in FAMILIES.items():
        page = found.pop(family)
        found |= {code: ProblemPage(code, page.title, page.actor, page.body) for code in codes}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def render_problem_page(page: ProblemPage) -> str:
    """Render the page of a problem code as Markdown."""
    parts = [f"# {page.code}", f"**{page.title}**", f"Who acts: **{page.actor}**.", page.body, "[All codes](README.md)"]
    return "\n\n".join(parts) + "\n"


def render_code_table(pages: Mapping[str, ProblemPage]) -> str:
    """Render the table of all codes, for the page that lists them."""
    rows = [
        f"| [`{page.code}`]({page.code}.md) | {_flat(page.title)} | {_flat(page.actor)} |" for page in pages.values()
    ]
    return "\n".join(["## Codes", "", "| code | what happened | who acts |", "|---|---|---|", *rows, ""])


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _written_pages() -> Iterator[ProblemPage]:
    """Read the sections of `docs/problems/*.md`."""
    for file in sorted(FOLDER.glob("*.md")):
        before, *sections = re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        default = re.search(r"^Who acts: (.+)$", before, re.MULTILINE)
        if file.name == "README.md":
            continue
        for section in sections:
            code, _, text = section.partition("\n")
            actor = re.search(r"^Who acts: (.+)$", text, re.MULTILINE) or default
            title = re.match(r"\s*\*\*(.+?)\*\*\s*", text, re.DOTALL)
            if actor is None or title is None:
                raise ValueError(f"{file.name}: {code} needs a title in bold and a line 'Who acts: …'")
            body = re.sub(r"^Who acts: .+$", "", text[title.end() :], flags=re.MULTILINE)
            body = re.sub(r"^Remedy: (\S+)$", lambda found: _remedy(Remedy(found[1]), None), body, flags=re.MULTILINE)
            yield ProblemPage(code.strip(), " ".join(title[1].split()), actor[1], body.strip())


def _with_arn_remedy(page: ProblemPage, code: KeyArnErrorCode) -> ProblemPage:
    steps = _show_steps(build_arn_remediation(code, replace(_CONTEXT, key=KeyPurpose.S3)))
    return replace(page, body=f"{page.body}\n\n{steps}".strip())


def _aws_pages() -> Iterator[ProblemPage]:
    def identify(rule: ErrorRule) -> tuple[str, str]:
        return rule.service, rule.code

    for (service, code), found in groupby(sorted(ERROR_RULES, key=identify), identify):
        rules = sorted(found, key=lambda rule: not rule.customer_key)
        name, link = _SERVICES[service]
        parts = [f"{name} rejected a call with the error code `{code}`. byok shows AWS's message unchanged."]
        if code.isdigit():
            parts[0] += f" The AWS SDK could read no error code in the answer, so the code is the HTTP status {code}."
        for rule in rules:
            remedy = build_remediation(rule.remedy, replace(_CONTEXT, key=rule.key))
            if len(rules) > 1:
                parts.append(f"## {remedy.title}")
                which = f"if AWS's message matches `{rule.message.pattern}`" if rule.message else "in all other cases"
                parts.append(f"This is the cause {which}.")
            parts.append(_OUTCOMES[rule.outcome])
            if rule.outcome not in _EXPECTED:
                parts += ["## What to do"] if len(rules) == 1 else []
                parts.append(_show_steps(remedy))
        parts.append(f"AWS's own description: [{name}]({link}).")
        yield ProblemPage(f"{service}.{code}", _title(rules[0], name), _actor(rules), "\n\n".join(parts))


def _actor(rules: Sequence[ErrorRule]) -> str:
    """Return who performs the steps of the remedies for an error."""
    if all(rule.outcome in _EXPECTED for rule in rules):
        return "no one, because byok expects this answer"
    remedies = [build_remediation(rule.remedy, replace(_CONTEXT, key=rule.key)) for rule in rules]
    actors = dict.fromkeys(actor for remedy in remedies for actor in remedy.actors)
    return " or ".join(actor.words for actor in actors)


def _title(rule: ErrorRule, service: str) -> str:
    if rule.outcome is ErrorOutcome.EXISTS:
        return f"{service} says that the resource exists."
    if rule.outcome is ErrorOutcome.ABSENT:
        return f"{service} says that the resource does not exist."
    return f"{build_remediation(rule.remedy, replace(_CONTEXT, key=rule.key)).title}."


def _remedy(remedy: Remedy, key: KeyPurpose | None) -> str:
    return _show_steps(build_remediation(remedy, replace(_CONTEXT, key=key)))


def _show_steps(remediation: Remediation) -> str:
    steps = render_remedy(remediation)
    shows_values = re.search(r"eu-central-1|444455556666|111122223333", steps)
    return f"{steps}\n\n*{_EXAMPLE_VALUES}*" if shows_values else steps
