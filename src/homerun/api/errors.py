"""Error classes -> codes, HTTP statuses and envelopes: the one table of them.

Knows the two envelopes and the forms of their messages; knows nothing of what went wrong.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec
from starlette.responses import Response

from homerun import errors
from homerun.errors import GenerationFailed, HomerunError, QueueFull, TooManyFailures

REQUEST_ID_HEADER = "cf-ai-req-id"


class _Form(StrEnum):
    """How a message is written; `{text}` is the error's own."""

    PLAIN = "AiError: {text}"
    BAD_INPUT = "AiError: Bad input: Error: {text}"
    LORA = "AiError: LoRA unsupported: {text}"
    UPSTREAM = "AiError: AiError: {text} ({request_id})"
    PLATFORM = "{text}"
    """Before any model is reached: routing and authentication, in an envelope of its own."""


_TABLE: dict[type[HomerunError], tuple[int, int, _Form]] = {
    # class: (code, HTTP status, form)
    errors.BadInput: (5006, 400, _Form.BAD_INPUT),
    errors.IncompleteRequest: (3003, 400, _Form.PLAIN),
    errors.UnsupportedEncoding: (3003, 415, _Form.PLAIN),
    errors.RequestTooLarge: (3006, 413, _Form.PLAIN),
    errors.InvalidModelName: (3042, 404, _Form.PLAIN),
    errors.NoSuchModel: (5007, 400, _Form.PLAIN),
    errors.ModelNotHere: (5007, 400, _Form.PLAIN),
    errors.LoraUnsupported: (5005, 405, _Form.LORA),
    errors.JsonModeUnsupported: (5025, 400, _Form.PLAIN),
    errors.AdapterNotFound: (3037, 404, _Form.UPSTREAM),
    errors.AdapterRefused: (5006, 400, _Form.PLAIN),
    errors.AdapterInvalid: (3039, 400, _Form.PLAIN),
    errors.AdapterNotReady: (3039, 400, _Form.PLAIN),
    errors.AdapterIncompatible: (3030, 400, _Form.PLAIN),
    errors.StorageFull: (3043, 507, _Form.UPSTREAM),
    errors.AdapterUnavailable: (3043, 500, _Form.UPSTREAM),
    errors.ContextOverflow: (5021, 413, _Form.UPSTREAM),
    errors.BodyTimeout: (3007, 408, _Form.UPSTREAM),
    errors.QueueFull: (3040, 429, _Form.UPSTREAM),
    errors.QueueTimeout: (3007, 408, _Form.UPSTREAM),
    errors.RequestAborted: (3008, 408, _Form.UPSTREAM),
    errors.GenerationFailed: (3043, 500, _Form.UPSTREAM),
    errors.AuthenticationFailed: (10000, 401, _Form.PLATFORM),
    errors.MalformedCredentials: (9106, 400, _Form.PLATFORM),
    errors.AccountForbidden: (10000, 403, _Form.PLATFORM),
    errors.TooManyFailures: (10000, 429, _Form.PLATFORM),
    errors.OriginForbidden: (10000, 403, _Form.PLATFORM),
    errors.MalformedAccount: (7003, 404, _Form.PLATFORM),
    errors.NoRoute: (7000, 400, _Form.PLATFORM),
    errors.MethodNotAllowed: (7001, 405, _Form.PLATFORM),
}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What the wire says of an error."""

    code: int
    status: int
    message: str
    platform: bool

    def envelope(self) -> dict[str, object]:
        """The answer's JSON, keys in the service's order."""
        if self.platform:
            error = {"code": self.code, "message": self.message}
            return {"result": None, "success": False, "errors": [error], "messages": []}
        error = {"message": self.message, "code": self.code}
        return {"errors": [error], "success": False, "result": {}, "messages": []}


def describe(error: Exception, request_id: str) -> ErrorAnswer:
    """What to tell the caller of `error`.

    Anything that is not in the table is ours to look into, and told as GenerationFailed.
    """
    if type(error) not in _TABLE:
        error = GenerationFailed()
    code, status, form = _TABLE[type(error)]  # pyright: ignore[reportArgumentType]
    message = form.format(text=error, request_id=request_id)
    return ErrorAnswer(code, status, message, platform=form is _Form.PLATFORM)


def error_response(error: Exception, request_id: str) -> Response:
    """The whole answer to a request that failed before its first frame."""
    answer = describe(error, request_id)
    headers = {REQUEST_ID_HEADER: request_id}
    if isinstance(error, QueueFull | TooManyFailures):
        headers["retry-after"] = str(error.retry_after_s)
    return json_response(answer.envelope(), answer.status, headers)


def json_response(
    content: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """`content` as UTF-8 JSON under exactly `application/json`."""
    # Starlette adds a charset to text types only.
    body = msgspec.json.encode(content)
    return Response(body, status, headers, media_type="application/json")
