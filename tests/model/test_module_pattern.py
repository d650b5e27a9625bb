"""Patterns against Python's `re`, and patterns that would keep `re` busy for ever."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homerun.errors import CheckpointError
from homerun.model.module_pattern import MAX_LENGTH, ModulePattern

NAMES = [
    f"model.layers.{layer}.{module}"
    for layer in (0, 1, 10, 31)
    for module in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj", "mlp.gate_proj")
]
# Forms that training tools write.
REAL = [
    r".*\.(q_proj|v_proj)",
    r"model\.layers\.\d+\.self_attn\.[qkvo]_proj",
    r"model\.layers\.(?:[0-9]|1[0-5])\.mlp\.(?:gate|up|down)_proj",
    r"(?:.*?(?:language|text).*?(?:self_attn|attn|mlp).*?(?:q_proj|v_proj).*?)"
    r"|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|down_proj)))",
    r"^model\.layers\.1.*_proj$",
    r".*\.[^qv]\w+_proj",
    r"(.*\.)?(layers\.[0-9]{2}\..*)",
]


@pytest.mark.parametrize("pattern", REAL)
def test_patterns_of_the_field(pattern: str) -> None:
    compiled = ModulePattern(pattern)
    found = [name for name in NAMES if compiled.fullmatch(name)]
    assert found == [name for name in NAMES if re.fullmatch(pattern, name)]
    assert 0 < len(found) < len(NAMES)


_ATOMS = ["a", "b", ".", r"\.", r"\d", r"\w", "[ab]", "[^a]", "[a-c1]", r"\b", "^", "$", "x_1"]
_PATTERNS = st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,}", "{0,2}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@given(_PATTERNS, st.text("ab.1x_", max_size=8))
def test_means_what_re_means(pattern: str, text: str) -> None:
    assert ModulePattern(pattern).fullmatch(text) == (re.fullmatch(pattern, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(a", r"lacks a '\)'"),
        ("a)", "a parenthesis too many"),
        ("[a", "ends too early"),
        ("a\\", "ends too early"),
        ("*a", "repeats nothing"),
        ("a**", "repeats a repetition"),
        ("a{x}", "counts nothing"),
        ("a{3,2}", "repeats something 3,2 times"),
        ("a{1001}", "repeats something"),
        ("[z-a]", "range z-a"),
        ("(?=a)", "only '\\(\\?:' is read"),
        ("(?i)a", "only '\\(\\?:' is read"),
        (r"(a)\1", "is not read here"),
        (r"\pL", "is not read here"),
        ("(" * 100 + "a" + ")" * 100, "nested too deeply"),
        ("a" * (MAX_LENGTH + 1), "more than 1000 characters"),
        ("((a{100}){100}){100}", "too large"),
    ],
)
def test_refusals(pattern: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told) as caught:
        ModulePattern(pattern)
    assert len(str(caught.value)) < 200


def test_no_pattern_takes_exponential_time() -> None:
    # `re` needs 2^60 steps for these.
    for pattern in ("(a*)*b", "(a|a)*b", "(a|aa)+$b", "(.*)*b"):
        assert not ModulePattern(pattern).fullmatch("a" * 60)
    slow = ModulePattern("(a?){400}" * 2 + "b")
    with pytest.raises(CheckpointError, match="too long to match"):
        any(slow.fullmatch("a" * 60) for _ in range(1000))
