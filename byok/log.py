"""Logging: one stream of log lines from byok, the Temporal SDK and boto.

Lines that an activity logs include the name of its workflow.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from byok.settings import LogFormat, Settings

_SECRET: Final = re.compile(r"(?i)(secret|password|token|authorization|api_key|credential)")
_HIDDEN: Final = "[hidden]"

Event = MutableMapping[str, Any]


def configure_logging(settings: Settings) -> None:
    """Write all log records to standard error in the configured format."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
        structlog.processors.format_exc_info,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format is LogFormat.JSON
        else structlog.dev.ConsoleRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    logging.getLogger("botocore.credentials").setLevel(logging.WARNING)
    for name in ("httpx", "httpx2"):  # these libraries log the URL of each request, which may be secret
        logging.getLogger(name).setLevel(logging.WARNING)
    # By default, the SDK appends the workflow's details to the text of every message. byok logs these details as
    # separate fields.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def hide_secrets(_logger: Any, _method: str, event: Event) -> Event:
    """Hide the value of every field whose name suggests that the value is secret."""
    for name in event:
        if _SECRET.search(name):
            event[name] = _HIDDEN
    return event


class LogContextInterceptor(Interceptor):
    """Adds the workflow, activity and attempt number to every line logged in an activity, including boto's lines."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK's `Interceptor`."""
        return _Bound(next)


class _Bound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        # The Temporal SDK copies these context variables to the activity's thread.
        with structlog.contextvars.bound_contextvars(
            workflow_id=info.workflow_id,
            run_id=info.workflow_run_id,
            activity=info.activity_type,
            attempt=info.attempt,
        ):
            return await super().execute_activity(input)
