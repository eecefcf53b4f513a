"""The REST app, mounted on Airflow's api-server under /api/x_kwr_kwiksync."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse, Response

from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.settings import read_settings


def create_app(*, access: Any) -> FastAPI:
    """The app; `access` is the dependency that refuses who may not ask. It stands before every route."""
    app = FastAPI(title="KWikSync", dependencies=[Depends(access)], docs_url=None, redoc_url=None)
    app.add_api_route("/status", read_status, methods=["GET"], summary="What syncs, what synced last, what is open")
    app.add_exception_handler(KwikSyncError, _refused)
    return app


def read_status() -> dict[str, Any]:
    """The lease, the tables with their last syncs, the calls of the last minute, open errors by code."""
    from kwiksync_ops.services import status
    from kwiksync_ops.storage.hub import open_hub

    settings = read_settings()
    hub = open_hub(settings.hub_url)
    try:
        return status.status_document(status.read_status(hub))
    finally:
        hub.close()


def _refused(_request: object, error: Exception) -> Response:
    told = error if isinstance(error, KwikSyncError) else KwikSyncError(str(error))
    return JSONResponse({"code": told.code, "message": told.message, "detail": told.remedy}, 503)
