"""A Jinja environment for templates that came with a checkpoint: no attributes, bounded work.

Knows Jinja; knows nothing of messages or tokens. A template is as trusted as the weights beside
it; the limits keep a careless or hostile one from stopping the server.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from homerun.errors import BadInput, CheckpointError

MAX_SOURCE = 256 * 1024
"""Characters of a template."""
MAX_STEPS = 200_000
"""Loop turns and calls of one rendering: far above a context window's worth of messages."""
MAX_LENGTH = 8 * 1024 * 1024
"""Characters (items) of the output and of any value on the way there."""

_MAX_INDENT = 16
_MAX_BITS = 1024
_UNBOUNDED_FILTERS = ("center", "format", "indent", "pprint", "urlize", "wordwrap", "xmlattr")
_UNBOUNDED_METHODS = frozenset(
    ("center", "expandtabs", "format", "format_map", "ljust", "rjust", "translate", "zfill")
)

_steps_left: ContextVar[int] = ContextVar("steps_left")


def compile_template(source: str) -> Template:
    """Parses and compiles. Raises CheckpointError in plain words."""
    if len(source) > MAX_SOURCE:
        raise CheckpointError(f"the chat template is longer than {MAX_SOURCE} characters")
    environment: Any = _Sandbox()
    try:
        tree: nodes.Template = _Counted().visit(environment.parse(source))
        code = environment.compile(tree)
    except (TemplateError, RecursionError) as error:
        raise CheckpointError(f"the chat template cannot be used: {_said(error)}") from None
    return Template.from_code(environment, code, environment.globals)


def render_template(template: Template, variables: Mapping[str, object]) -> str:
    """Runs a compiled template. Raises BadInput where it refuses, fails or works too long."""
    token = _steps_left.set(MAX_STEPS)
    parts: list[str] = []
    room = MAX_LENGTH
    try:
        for part in template.generate(variables):
            room -= len(part)
            _check(room >= 0)
            parts.append(part)
    except BadInput:
        raise
    except Exception as error:  # a template may raise whatever Python does
        text = f"this model's chat template cannot render the messages: {_said(error)}"
        raise BadInput(text) from None
    finally:
        _steps_left.reset(token)
    return "".join(parts)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        # Whitespace as the authors' templates expect it. Not optimized: nothing runs unwatched.
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            extensions=["jinja2.ext.loopcontrols"],
        )
        for name in _UNBOUNDED_FILTERS:
            del self.filters[name]
        self.filters |= {"counted": _counted, "concat": _concat, "tojson": _to_json}
        self.filters |= {"replace": _replace, "join": _bounded_join(self.filters["join"])}
        for name in ("lipsum", "cycler", "joiner"):
            del self.globals[name]
        self.globals |= {"raise_exception": _raise_exception, "strftime_now": _strftime_now}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        safe = super().is_safe_attribute(obj, attr, value)
        return safe and not (isinstance(obj, str) and attr in _UNBOUNDED_METHODS)

    def wrap_str_format(self, value: Any) -> None:
        """No exception for `str.format`: it pads without limit."""

    def call(
        __self,  # pyright: ignore[reportSelfClsParameterName]
        __context: Context,
        __obj: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        _spend(1)
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            match getattr(__obj, "__name__", ""):
                case "replace":
                    return _replace(owner, *args, **kwargs)
                case "join":
                    args = (_bounded_items(owner, *args),)
                case _:
                    pass
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and hasattr(left, "__len__") and hasattr(right, "__len__"):
            _check(len(left) + len(right) <= MAX_LENGTH)
        elif operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if hasattr(sequence, "__len__"):
                    _check(len(sequence) * times <= MAX_LENGTH)
        elif operator == "%" and isinstance(left, str):
            raise SecurityError("it formats with %")
        if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            grown = right if operator == "**" else 1
            _check(left.bit_length() * max(grown, 1) + right.bit_length() <= _MAX_BITS)
        return super().call_binop(context, operator, left, right)


class _Counted(NodeTransformer):
    """Makes loops pay for their turns and `~` look at the length of its result."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.recursive:
            raise SecurityError("it loops recursively")
        node.iter = _filtered(node.iter, "counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "concat")


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _spend(steps: int) -> None:
    left = _steps_left.get(MAX_STEPS) - steps
    _check(left >= 0)
    _steps_left.set(left)


def _check(within: bool) -> None:
    if not within:
        raise SecurityError("it does too much work")


def _counted(items: Iterable[Any]) -> list[Any]:
    counted = list(items)
    _spend(len(counted))
    return counted


def _concat(parts: list[Any]) -> str:
    texts = [str(part) for part in parts]
    _check(sum(map(len, texts)) <= MAX_LENGTH)
    return "".join(texts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    text = str(text)
    _check(len(text) + text.count(old) * len(new) <= MAX_LENGTH)
    return text.replace(old, new, count)


def _bounded_items(separator: str, items: Iterable[Any]) -> list[Any]:
    listed = list(items)
    _check(sum(len(str(item)) + len(separator) for item in listed) <= MAX_LENGTH)
    return listed


def _bounded_join(join: Callable[..., Any]) -> Callable[..., Any]:
    """Jinja's own `join`, after a look at the length. It takes the context first."""

    def bounded(
        context: Any, value: Iterable[Any], d: str = "", attribute: str | int | None = None
    ) -> Any:
        items = list(value) if attribute is not None else _bounded_items(d, value)
        _check(len(items) * len(d) <= MAX_LENGTH)
        return join(context, items, d, attribute)

    for name, value in vars(join).items():  # how Jinja marks what it passes
        setattr(bounded, name, value)
    return bounded


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    _check(indent is None or indent <= _MAX_INDENT)
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: object) -> None:
    raise BadInput(f"this model's chat template refuses the messages: {message}")


def _strftime_now(form: str) -> str:
    """Today's date, for templates that tell it to the model: such prompts change daily."""
    _check(len(form) <= 64 and not any(digit in form for digit in "0123456789"))
    return datetime.now().strftime(form)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
