"""What counts as right: answers that must pass, and wrong ones that look like them."""

import json

import pytest

from training import checks
from training.checks import Check, HasCheck, JsonCheck, NoCallCheck, ObeyCheck, SpanCheck

CALL = checks.CallCheck("get_weather", json.dumps({"city": "Ulm", "days": 3}))
CASES: list[tuple[Check, list[str], list[str]]] = [
    (
        ObeyCheck("few words", "Yes."),
        ["Yes.", "yes", "Yes!"],
        ["No.", "Yes, it is.", "Yes. No.", ""],
    ),
    (ObeyCheck("starts", "Yay!"), ["Yay! It is 4."], ["Yay!", "It is 4. Yay!", "Yay"]),
    (ObeyCheck("ends", "Over."), ["It is 4. Over."], ["Over.", "Over", "Over. It is 4."]),
    (ObeyCheck("has", "Boss|Chief"), ["Yes, Chief."], ["Chief", "Boss.", "Yes."]),
    (ObeyCheck("one sentence"), ["It is a cat."], ["It is a cat. It is big.", "Cat.", ""]),
    (ObeyCheck("bullets"), ["- a\n- b"], ["a\nb", "- a", "- a\nb"]),
    (ObeyCheck("exact", "No comment."), ["No comment.", "No comment"], ["No comment. Why?"]),
    (
        NoCallCheck(),
        ["It is sunny (I think).", "I have no tool(s) for that."],
        [
            'get_weather(city="Ulm")',
            '{"name":"x","arguments":{}}',
            '```json\n{"name": "x"}\n```',
            'Sure: "name": "x"',
            "[1]",
            " ",
        ],
    ),
    (HasCheck("arithmetic", ("is 12",)), ["7 plus 5 is 12."], ["is 12.5", "is 120", "is 1.12"]),
    (HasCheck("arithmetic", ("12",)), ["12", "12, I think"], ["3.12", "12.5", "12,5", "512"]),
    (HasCheck("facts", ("Yes",), ("No",)), ["Yes, it is."], ["Yes. No.", "No."]),
    (SpanCheck("Ulm", may_end=True), ["Ulm", "Ulm."], ["ulm", "Ulm!", "It is Ulm."]),
]


@pytest.mark.parametrize(("check", "right", "wrong"), CASES)
def test_right_answers_pass_and_wrong_ones_do_not(
    check: Check, right: list[str], wrong: list[str]
) -> None:
    def passes(answer: str) -> bool:
        ((count, of),) = check(answer).values()
        assert of == 1
        return count == 1

    assert all(map(passes, right)), [answer for answer in right if not passes(answer)]
    assert not any(map(passes, wrong)), [answer for answer in wrong if passes(answer)]


def test_a_call_is_counted_by_its_tool_and_by_its_arguments() -> None:
    right = {"name": "get_weather", "arguments": {"days": 3, "city": "Ulm"}}
    assert CALL(json.dumps(right)) == {"tool choice": (1, 1), "tool arguments": (1, 1)}
    for arguments in ({"city": "Ulm"}, {"city": "Ulm", "days": "3"}, {"city": "Ulm", "days": True}):
        result = CALL(json.dumps({**right, "arguments": arguments}))
        assert result == {"tool choice": (1, 1), "tool arguments": (0, 1)}
    for other in ({**right, "name": "x"}, {**right, "more": 1}, [right]):
        assert CALL(json.dumps(other))["tool choice"] == (0, 1)


def test_fields_are_counted_one_by_one_and_the_whole_on_its_own() -> None:
    check = JsonCheck(json.dumps({"a": 1, "b": ["x"], "c": True}))
    assert check('{"a":1,"b":["x"],"c":true}') == {"JSON fields": (3, 3), "JSON whole": (1, 1)}
    assert check('{"a":1.0,"b":["y"],"c":1}') == {"JSON fields": (1, 3), "JSON whole": (0, 1)}
    assert check('{"a":1,"b":["x"],"c":true,"d":0}')["JSON whole"] == (0, 1)
    for broken in ("", "{", "[1]", "[" * 100_000, "7"):
        assert check(broken) == {"JSON fields": (0, 3), "JSON whole": (0, 1)}
