"""The ways in which a model server says no, in the words and statuses of vLLM."""

from __future__ import annotations

from typing import Any


class RefusalError(Exception):
    """A request is answered with an error instead of a result."""

    def __init__(self, message: str, kind: str = "BadRequestError", param: str | None = None, code: int = 400) -> None:
        """Keep what the error body needs."""
        super().__init__(message)
        self.code = code
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def wrong_value(param: str, value: Any, message: str) -> RefusalError:
    """Refuse a parameter of the right type whose value makes no sense."""
    return RefusalError(f"{message} (parameter={param}, value={value})", param=param)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"<{type(value).__name__} of {len(value)} items>"
    return str(value)


def wrong_shape(kind: str, where: str, message: str, value: Any) -> RefusalError:
    """Refuse a body that is not of the declared shape; vLLM reports what pydantic found."""
    detail = {"type": kind, "loc": where, "msg": message, "input": _shown(value)}
    return RefusalError(f"1 validation error:\n  {detail}", "Bad Request", where)


def malformed(where: str, reason: str) -> RefusalError:
    """Refuse a body that is no JSON at all."""
    detail = {
        "type": "json_invalid",
        "loc": where,
        "msg": "JSON decode error",
        "input": _shown({}),
        "ctx": {"error": reason},
    }
    return RefusalError(f"1 validation error:\n  {detail}", "Bad Request", where)


def wrong_media() -> RefusalError:
    """Refuse a body that does not come as application/json."""
    reason = "Unsupported Media Type: Only 'application/json' is allowed"
    return RefusalError(f"1 validation error:\n  {reason}", "Bad Request")


def unknown_model(name: str, base: str) -> RefusalError:
    """Refuse a model that is neither the base nor a loaded adapter."""
    message = f"The model `{name}` does not exist. Valid aliases: {base}."
    return RefusalError(message, "NotFoundError", "model", 404)


def worker_failed(reason: str) -> RefusalError:
    """Refuse an adapter that cannot be loaded; the server stays up."""
    message = (
        f"Call to add_lora method failed: Worker failed with error '{reason}', "
        "please check the stack trace above for the root cause"
    )
    return RefusalError(message, "InternalServerError", code=500)
