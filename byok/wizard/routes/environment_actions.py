"""*Retry*, *Cancel* and *Delete* for an existing environment. *Cancel* and *Delete* each have a confirmation page."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from byok.domain.phases import Phase
from byok.service.errors import NotReplayableError, NotRunningError, ServiceError
from byok.service.status import EnvironmentStatus
from byok.wizard.dependencies import RETRY_FIELDS, CancelSession, DeleteSession, Form, ReasonedService, WriteSession
from byok.wizard.environment_page import EnvironmentPage, PageOfEnvironment
from byok.wizard.toasts import Toast, redirect_with_toast
from byok.wizard.views import StatusView

router = APIRouter(prefix="/environments")


@router.post("/{environment_id}")
async def retry(page: PageOfEnvironment, service: ReasonedService, _: WriteSession, form: Form) -> Response:
    """Replay a stopped environment with the same keys or with corrected keys.

    The form posts to the environment's own URL, so that the user can reload the page if the retry is rejected.
    """
    given = {name: str(form.get(name, "")).strip() or None for name in RETRY_FIELDS}
    try:
        await service.replay(page.environment_id, **given)
    except NotReplayableError as error:
        phase = (await service.read_status(page.environment_id)).phase
        moved = (
            None
            if phase is Phase.STOPPED
            else "The environment is no longer stopped. This page shows its current status."
        )
        return await page.refuse("Retry was not started", error, moved, given)
    except ServiceError as error:
        return await page.refuse("Retry was not started", error, entered=given)
    return redirect_with_toast(page.url, Toast.RETRIED)


@router.get("/{environment_id}/cancellation")
async def confirm_cancellation(page: PageOfEnvironment, _: CancelSession) -> Response:
    """Show what a cancellation does, and ask the user to confirm the cancellation."""
    status = await page.service.read_status(page.environment_id)
    if status.phase.is_final:
        return RedirectResponse(page.url, HTTPStatus.SEE_OTHER)
    return _confirmation_page(page, status, "cancel.html")


@router.post("/{environment_id}/cancellation")
async def cancel(page: PageOfEnvironment, service: ReasonedService, _: CancelSession, __: Form) -> Response:
    """Cancel the operation in progress."""
    try:
        await service.cancel(page.environment_id)
    except NotRunningError as error:
        return await page.refuse("Nothing was cancelled", error, "The operation has already ended.")
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
    """Delete the environment, except for its keys and its final snapshot."""
    name, final_snapshot = page.environment_id, bool(form.get("final_snapshot"))
    if str(form.get("confirm", "")).strip() != name:
        status = await service.read_status(name)
        fault = f"Type {name} to confirm. Nothing was deleted."
        return _confirmation_page(
            page, status, "delete.html", final_snapshot=final_snapshot, fault=fault, reason=str(form.get("reason", ""))
        )
    try:
        await service.delete(await service.build_delete_request(name, final_snapshot=final_snapshot))
    except ServiceError as error:
        return await page.refuse("Nothing was deleted", error)
    return redirect_with_toast(page.url, Toast.DELETING)


def _confirmation_page(
    page: EnvironmentPage,
    status: EnvironmentStatus,
    template: str,
    *,
    final_snapshot: bool = False,
    fault: str | None = None,
    reason: str | None = None,
) -> Response:
    return page.pages.render(
        page.request,
        template,
        session=page.session,
        status=HTTPStatus.OK if fault is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        environment=status,
        final_snapshot=final_snapshot,
        fault=fault,
        reason=page.request.query_params.get("reason", "") if reason is None else reason,
    )
