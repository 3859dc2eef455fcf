"""The four endpoints for monitoring."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from prometheus_client import CONTENT_TYPE_LATEST

from accounts.db import outside_atomic_requests
from accounts.deadline import database_deadline
from health.access import may_read_details
from health.checks import READINESS, NotReady
from health.metrics import key_sampler, render_series
from health.recorder import recorder
from health.report.shared import shared_reports


@outside_atomic_requests
@cache_control(no_store=True)
@vary_on_headers("Authorization")
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 while this process serves requests."""
    return JsonResponse({"status": "ok"})


@outside_atomic_requests
@cache_control(no_store=True)
@vary_on_headers("Authorization")
@require_safe
def answer_ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if this process can serve requests, else 503 with a one-word status, in about a second."""
    try:
        for check in READINESS:
            check.run()
    except NotReady as refusal:
        return JsonResponse({"status": refusal.status}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return JsonResponse({"status": "ok"})


@outside_atomic_requests
def ready(request: HttpRequest) -> HttpResponse:
    """Answer as `answer_ready`, and write pending failures: each worker is probed regularly."""
    response = answer_ready(request)
    if response.status_code == HTTPStatus.OK:
        record_pending()
    return response


@database_deadline()
def record_pending() -> None:
    """Write the pending failures and the state of the keys; the database has just answered."""
    recorder.flush(now=timezone.now())
    key_sampler.sample()


@outside_atomic_requests
@cache_control(no_store=True)
@vary_on_headers("Authorization")
@require_safe
@database_deadline()
def sync(request: HttpRequest) -> JsonResponse:
    """Return the sync report to authorized requests, only its status to all others; "unknown" without one."""
    with_details = may_read_details(request)
    report = shared_reports.get(count_users=with_details)
    if report is None:
        return JsonResponse({"status": "unknown"})
    return JsonResponse(report.as_dict() if with_details else {"status": report.status})


@outside_atomic_requests
@cache_control(no_store=True)
@vary_on_headers("Authorization")
@require_safe
@database_deadline()
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the series for Prometheus; 401 for requests that are not authorized."""
    if not may_read_details(request):
        return HttpResponse(
            "Send HEALTH_TOKEN as a bearer token, or sign in to the admin as staff.\n",
            status=HTTPStatus.UNAUTHORIZED,
            headers={"WWW-Authenticate": "Bearer"},
            content_type="text/plain; charset=utf-8",
        )
    return HttpResponse(render_series(), content_type=CONTENT_TYPE_LATEST)
