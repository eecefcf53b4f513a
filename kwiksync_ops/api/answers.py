"""Values as the API answers them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi.responses import Response

_JSON = msgspec.json.Encoder(decimal_format="number")


def json_response(value: Any, status: int = 200, **headers: str) -> Response:
    """JSON in which a decimal keeps its digits and a moment is ISO 8601."""
    return Response(_JSON.encode(value), status, headers=headers, media_type="application/json")
