"""*Retry*, *Cancel* and *Delete* for an existing environment. *Cancel* and *Delete* each have a confirmation page."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from byok.service.errors import (
    EnvironmentBusyError,
    EnvironmentNotReadyError,
    NotReplayableError,
    NotRunningError,
    ServiceError,
)
from byok.service.status import EnvironmentStatus
from byok.wizard.dependencies import RETRY_FIELDS, CancelSession, DeleteSession, Form, ReasonedService, WriteSession
from byok.wizard.environment_page import EnvironmentPage, PageOfEnvironment
from byok.wizard.refusals import Refusal, explain_missed_retry, refuse_deletion
from byok.wizard.toasts import Toast, redirect_with_toast
from byok.wizard.views import StatusView

router = APIRouter(prefix="/environments")


@router.post("/{environment_id}")
async def retry(page: PageOfEnvironment, service: ReasonedService, _: WriteSession, form: Form) -> Response:
    """Replay a stopped environment with the same keys or with corrected keys.

    The form posts to the environment's own URL, so that the user can reload the page if the retry is rejected.
    """
    given = {name: str(form.get(name, "")).strip() or None for name in RETRY_FIELDS}
    if any(given.values()):
        status = await service.read_status(page.environment_id)
        faults = page.find_arn_faults(status, given)
        if faults:
            refusal = Refusal("Retry was not started", "Correct the ARN below. Nothing was changed.")
            code = HTTPStatus.UNPROCESSABLE_ENTITY
            return await page.render(status, refusal=refusal, code=code, entered=given, faults=faults)
    try:
        await service.replay(page.environment_id, **given)
    except NotReplayableError as error:
        status = await service.read_status(page.environment_id)
        refusal = Refusal("Retry was not started", explain_missed_retry(status) or str(error))
        return await page.refuse(error, refusal, status, given)
    except ServiceError as error:
        return await page.refuse(error, Refusal("Retry was not started", str(error)), entered=given)
    return redirect_with_toast(page.url, Toast.RETRIED)


@router.get("/{environment_id}/cancellation")
async def confirm_cancellation(page: PageOfEnvironment, _: CancelSession) -> Response:
    """Show what a cancellation does, and ask the user to confirm the cancellation."""
    status = await page.service.read_status(page.environment_id)
    if not StatusView.from_status(status).can_be_cancelled:
        return RedirectResponse(page.url, HTTPStatus.SEE_OTHER)
    return _confirmation_page(page, status, "cancel.html")


@router.post("/{environment_id}/cancellation")
async def cancel(page: PageOfEnvironment, service: ReasonedService, _: CancelSession, form: Form) -> Response:
    """Cancel the operation in progress, if it is the operation that the confirmation page showed."""
    status = await service.read_status(page.environment_id)
    if not status.phase.is_final and not _is_same_run(form, status):
        message = "The operation that this page showed has ended. If you want to cancel the current operation, select "
        error = NotRunningError(f"{page.environment_id} has another operation in progress.")
        return await page.refuse(error, Refusal("Nothing was cancelled", f"{message}Cancel."), status)
    try:
        await service.cancel(page.environment_id)
    except NotRunningError as error:
        return await page.refuse(error, Refusal("Nothing was cancelled", "The operation has already ended."))
    return redirect_with_toast(page.url, Toast.CANCELLING)


@router.get("/{environment_id}/deletion")
async def confirm_deletion(page: PageOfEnvironment, _: DeleteSession) -> Response:
    """Show what a deletion removes and what it keeps, and ask for the environment's name."""
    status = await page.service.read_status(page.environment_id)
    if not StatusView.from_status(status).can_be_deleted:
        return RedirectResponse(page.url, HTTPStatus.SEE_OTHER)
    kept = page.request.query_params  # the entries of a form that was submitted after the session had ended
    return _confirmation_page(page, status, "delete.html", final_snapshot=not kept or "final_snapshot" in kept)


@router.post("/{environment_id}/deletion")
async def delete(page: PageOfEnvironment, service: ReasonedService, _: DeleteSession, form: Form) -> Response:
    """Delete the environment, except for its keys and its final snapshot.

    If another request has changed the environment since the user opened the confirmation page, nothing is deleted.
    """
    name, final_snapshot = page.environment_id, bool(form.get("final_snapshot"))
    status = await service.read_status(name)
    if not StatusView.from_status(status).can_be_deleted:
        return await _refuse_deletion(page, status)
    fault = None if str(form.get("confirm", "")).strip() == name else f"Type {name} to confirm. Nothing was deleted."
    changed = not _is_same_run(form, status)
    if fault or changed:
        return _confirmation_page(
            page,
            status,
            "delete.html",
            code=HTTPStatus.CONFLICT if changed else HTTPStatus.UNPROCESSABLE_ENTITY,
            reason=str(form.get("reason", "")),
            final_snapshot=final_snapshot,
            fault=fault,
            changed=changed,
        )
    try:
        started = await service.delete(await service.build_delete_request(name, final_snapshot=final_snapshot))
    except (EnvironmentBusyError, EnvironmentNotReadyError):  # another request was a moment earlier
        started = False
    except ServiceError as error:
        return await page.refuse(error, Refusal("Nothing was deleted", str(error)))
    if not started:
        return await _refuse_deletion(page, await service.read_status(name))
    return redirect_with_toast(page.url, Toast.DELETING)


async def _refuse_deletion(page: EnvironmentPage, status: EnvironmentStatus) -> Response:
    refusal = refuse_deletion(status)
    return await page.refuse(EnvironmentBusyError(refusal.message), refusal, status)


def _is_same_run(form: Form, status: EnvironmentStatus) -> bool:
    """Return whether the confirmation page showed this run; True if the form does not say which run it showed."""
    return str(form.get("run", status.run_id)) == status.run_id


def _confirmation_page(
    page: EnvironmentPage,
    status: EnvironmentStatus,
    template: str,
    *,
    code: HTTPStatus = HTTPStatus.OK,
    reason: str | None = None,
    **values: Any,
) -> Response:
    return page.pages.render(
        page.request,
        template,
        session=page.session,
        status=code,
        environment=status,
        reason=page.request.query_params.get("reason", "") if reason is None else reason,
        **{"final_snapshot": False, "fault": None, "changed": False} | values,
    )
