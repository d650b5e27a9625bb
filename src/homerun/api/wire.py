"""The native dialect's JSON for what a generation yields.

Knows field names and their order; knows no frames, statuses or headers.
"""

from homerun.types import Finished, Usage


def success_envelope(result: object) -> dict[str, object]:
    return {"result": result, "success": True, "errors": [], "messages": []}


def result_object(text: str, finished: Finished) -> dict[str, object]:
    """The whole answer of a finished generation; also the last event of its stream."""
    return {
        "response": text,
        "usage": usage_object(finished.usage),
        "finish_reason": finished.finish_reason.value,
    }


def usage_object(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
