"""The body of every error, byte for byte."""

import inspect

import pytest

from homerun import errors
from homerun.api.errors import describe, error_response
from homerun.errors import (
    AccountForbidden,
    AdapterIncompatible,
    AdapterInvalid,
    AdapterNotFound,
    AdapterNotReady,
    AdapterRefused,
    AdapterUnavailable,
    AuthenticationFailed,
    BadInput,
    BodyTimeout,
    CheckpointError,
    ConfigurationError,
    ContextOverflow,
    DownloadError,
    GenerationFailed,
    HomerunError,
    IncompleteRequest,
    InvalidModelName,
    JsonModeUnsupported,
    LoraUnsupported,
    MalformedAccount,
    MalformedCredentials,
    MethodNotAllowed,
    ModelNotHere,
    NoRoute,
    NoSuchModel,
    OriginForbidden,
    QueueFull,
    QueueTimeout,
    RequestAborted,
    RequestTooLarge,
    StorageFull,
    TooManyFailures,
    UnsupportedEncoding,
)

ID = "63371b53-4237-44f1-baec-b690284ac214"

# Of the AI service: error, status, code, message.
AI_ERRORS = [
    (
        BadInput("'/temperature' must be <= 5"),
        400,
        5006,
        "AiError: Bad input: Error: '/temperature' must be <= 5",
    ),
    (
        IncompleteRequest("Request is missing headers or body: body"),
        400,
        3003,
        "AiError: Request is missing headers or body: body",
    ),
    (
        UnsupportedEncoding("Content-Encoding gzip is not supported"),
        415,
        3003,
        "AiError: Content-Encoding gzip is not supported",
    ),
    (RequestTooLarge("Request is too large"), 413, 3006, "AiError: Request is too large"),
    (
        AdapterUnavailable("it is damaged"),
        500,
        3043,
        f"AiError: AiError: The finetune cannot be used: it is damaged ({ID})",
    ),
    (InvalidModelName(), 404, 3042, "AiError: The model name is invalid"),
    (NoSuchModel("@cf/x/y"), 400, 5007, "AiError: No such model @cf/x/y or task"),
    (ModelNotHere("Run this command"), 400, 5007, "AiError: Run this command"),
    (
        LoraUnsupported("@cf/x/y"),
        405,
        5005,
        "AiError: LoRA unsupported: The model @cf/x/y does not support LoRA inference",
    ),
    (JsonModeUnsupported(), 400, 5025, "AiError: This model doesn't support JSON Schema"),
    (AdapterRefused("Finetune x is ready"), 400, 5006, "AiError: Finetune x is ready"),
    (AdapterInvalid("r is 0"), 400, 3039, "AiError: r is 0"),
    (AdapterNotReady("no files"), 400, 3039, "AiError: no files"),
    (AdapterIncompatible("for another"), 400, 3030, "AiError: for another"),
    (
        StorageFull(),
        507,
        3043,
        f"AiError: AiError: The server's disk is full; nothing was stored ({ID})",
    ),
    (AdapterNotFound("mine"), 404, 3037, f"AiError: AiError: Finetune mine not found ({ID})"),
    (
        ContextOverflow(8810, 8192),
        413,
        5021,
        "AiError: AiError: The estimated number of input and maximum output tokens (8810) "
        f"exceeded this model context window limit (8192) ({ID})",
    ),
    (
        QueueFull(retry_after_s=3),
        429,
        3040,
        f"AiError: AiError: Capacity temporarily exceeded, please try again. ({ID})",
    ),
    (BodyTimeout(), 408, 3007, f"AiError: AiError: Request timeout ({ID})"),
    (QueueTimeout(), 408, 3007, f"AiError: AiError: Request timeout ({ID})"),
    (RequestAborted(), 408, 3008, f"AiError: AiError: Request was aborted ({ID})"),
    (GenerationFailed(), 500, 3043, f"AiError: AiError: Internal server error ({ID})"),
]

# Of the platform in front of it.
PLATFORM_ERRORS = [
    (AuthenticationFailed(), 401, 10000, "Authentication error"),
    (MalformedCredentials(), 400, 9106, "Authentication failed (status: 400)"),
    (AccountForbidden(), 403, 10000, "Authentication error"),
    (TooManyFailures(retry_after_s=3), 429, 10000, "Authentication error"),
    (OriginForbidden("This Host is not allowed"), 403, 10000, "This Host is not allowed"),
    (
        MalformedAccount("/x/ai"),
        404,
        7003,
        "Could not route to /x/ai, perhaps your object identifier is invalid?",
    ),
    (NoRoute(), 400, 7000, "No route for that URI"),
    (MethodNotAllowed("GET"), 405, 7001, "GET not supported for requested URI."),
]


def name_of(value):
    return type(value).__name__ if isinstance(value, Exception) else ""


@pytest.mark.parametrize(("error", "status", "code", "message"), AI_ERRORS, ids=name_of)
def test_ai_errors(error, status, code, message):
    response = error_response(error, ID)
    assert response.status_code == status
    assert response.body.decode() == (
        f'{{"errors":[{{"message":"{message}","code":{code}}}],'
        '"success":false,"result":{},"messages":[]}'
    )


@pytest.mark.parametrize(("error", "status", "code", "message"), PLATFORM_ERRORS, ids=name_of)
def test_platform_errors(error, status, code, message):
    response = error_response(error, ID)
    assert response.status_code == status
    assert response.body.decode() == (
        '{"result":null,"success":false,'
        f'"errors":[{{"code":{code},"message":"{message}"}}],"messages":[]}}'
    )


EVERY = AI_ERRORS + PLATFORM_ERRORS


@pytest.mark.parametrize("error", [row[0] for row in EVERY], ids=name_of)
def test_headers(error):
    headers = error_response(error, ID).headers
    assert headers["content-type"] == "application/json"
    assert headers["cf-ai-req-id"] == ID
    waits = isinstance(error, QueueFull | TooManyFailures)
    assert headers.get("retry-after") == ("3" if waits else None)


def test_every_class_has_its_row():
    classes = {
        item
        for _, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, HomerunError)
    }
    # The operator's errors never reach a caller in words.
    tested = {type(row[0]) for row in EVERY}
    operators = {CheckpointError, ConfigurationError, DownloadError}
    assert classes - tested == {HomerunError, *operators}


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a secret"),
        CheckpointError("/a/path"),
        DownloadError("a token"),
        HomerunError("a secret"),
    ],
)
def test_what_is_ours_is_told_without_internals(error):
    assert describe(error, ID) == describe(GenerationFailed(), ID)
    assert error_response(error, ID).status_code == 500


def test_text_of_callers_is_escaped():
    body = error_response(BadInput('a "quote"\n\0 and é'), ID).body
    assert b'a \\"quote\\"\\n\\u0000 and \xc3\xa9' in body
