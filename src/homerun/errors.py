"""Every error a user may meet, as classes with a text in plain words.

Knows no status codes, JSON or HTTP: `api/errors.py` has the one table that turns classes into
envelopes, the CLI prints the text as it is.
"""


class HomerunError(Exception):
    """Base of all errors that are told to the caller. `str(error)` is the description."""


# What a request can get wrong.


class BadInput(HomerunError):
    """The body breaks the model's schema; the description follows the validator's grammar."""


class IncompleteRequest(HomerunError):
    """No body, or a header that is needed is missing."""


class RequestTooLarge(HomerunError):
    """The body is over the limit."""


class BodyTimeout(HomerunError):
    """The body did not arrive in time (408/3007)."""

    def __init__(self) -> None:
        super().__init__("Request timeout")


class UnsupportedEncoding(HomerunError):
    """A Content-Encoding other than identity."""


class InvalidModelName(HomerunError):
    """Not a model name at all (path tricks, control characters)."""

    def __init__(self) -> None:
        super().__init__("The model name is invalid")


class NoSuchModel(HomerunError):
    """The catalog has no such model and no checkpoint is served under the name."""

    def __init__(self, model: str) -> None:
        super().__init__(f"No such model {model} or task")


class ModelNotHere(HomerunError):
    """A catalog model whose weights are not on this machine; says how to get them."""


class LoraUnsupported(HomerunError):
    """`lora` on a model that takes none."""

    def __init__(self, model: str) -> None:
        super().__init__(f"The model {model} does not support LoRA inference")


class AdapterNotFound(HomerunError):
    """No adapter of this id or name in the caller's account."""

    def __init__(self, adapter: str) -> None:
        shown = adapter if len(adapter) <= 64 else adapter[:64] + "…"
        super().__init__(f"Finetune {shown} not found")


class AdapterUnavailable(HomerunError):
    """An adapter that is known, but cannot be loaded; the text says why."""

    def __init__(self, why: str, *, damaged: bool = False) -> None:
        super().__init__(f"The finetune cannot be used: {why}")
        self.damaged = damaged
        """Whether its packed file is no good."""


class AdapterInvalid(HomerunError):
    """An adapter's file that cannot be used with any base; says which tensor, value and limit."""


class AdapterIncompatible(HomerunError):
    """An adapter that was made for another base model."""


class AdapterNotReady(HomerunError):
    """An adapter whose files are missing, unchecked or refused; says which, and why."""


class AdapterRefused(HomerunError):
    """What the registry of adapters does not do: a name that is taken, an edit of a ready one."""


class JsonModeUnsupported(HomerunError):
    """`response_format` on a model that cannot be held to a schema."""

    def __init__(self) -> None:
        super().__init__("This model doesn't support JSON Schema")


class ContextOverflow(HomerunError):
    """Prompt + max_tokens do not fit the model's context window."""

    def __init__(self, tokens: int, window: int) -> None:
        super().__init__(
            f"The estimated number of input and maximum output tokens ({tokens}) "
            f"exceeded this model context window limit ({window})"
        )


# What the server cannot do at the moment.


class QueueFull(HomerunError):
    """More requests are waiting than the server takes in."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Capacity temporarily exceeded, please try again.")
        self.retry_after_s = retry_after_s


class QueueTimeout(HomerunError):
    """The request waited too long for its first step."""

    def __init__(self) -> None:
        super().__init__("Request timeout")


class RequestAborted(HomerunError):
    """The request was given up before it was done (client gone, server draining)."""

    def __init__(self, why: str = "Request was aborted") -> None:
        super().__init__(why)


class GenerationFailed(HomerunError):
    """Something of ours broke for this one request. The text has no internals."""

    def __init__(self) -> None:
        super().__init__("Internal server error")


class StorageFull(HomerunError):
    """No room on the disk for an upload."""

    def __init__(self) -> None:
        super().__init__("The server's disk is full; nothing was stored")


# Who may ask, and for what.


class AuthenticationFailed(HomerunError):
    """An unknown, revoked or missing token."""

    def __init__(self) -> None:
        super().__init__("Authentication error")


class MalformedCredentials(HomerunError):
    """An Authorization header that is not `Bearer <token>`."""

    def __init__(self) -> None:
        super().__init__("Authentication failed (status: 400)")


class AccountForbidden(HomerunError):
    """The token's account is not the one in the path."""

    def __init__(self) -> None:
        super().__init__("Authentication error")


class MalformedAccount(HomerunError):
    """The account segment of the path cannot be an account. `path` is as sent, still encoded.

    Platform envelope 404/7003.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"Could not route to {path}, perhaps your object identifier is invalid?")


class TooManyFailures(HomerunError):
    """One address sent too many wrong tokens within a minute. Platform envelope 429/10000."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Authentication error")
        self.retry_after_s = retry_after_s


class OriginForbidden(HomerunError):
    """Host or Origin is not on the allow-list (DNS rebinding, cross-site request)."""


class NoRoute(HomerunError):
    """Nothing is served at this path."""

    def __init__(self) -> None:
        super().__init__("No route for that URI")


class MethodNotAllowed(HomerunError):
    """The path exists, the method does not."""

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} not supported for requested URI.")


# What the person who runs the server can get wrong.


class CheckpointError(HomerunError):
    """A checkpoint that does not fit; says which file, which field, which limit."""


class ConfigurationError(HomerunError):
    """A flag, environment variable or setting that makes no sense."""
