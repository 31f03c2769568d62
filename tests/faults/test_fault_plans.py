"""Plans are values: a repr that can be pasted, TOML that says the same, mistakes that are found when a plan is made."""

import tomllib
from random import Random

import msgspec
import pytest

from vgpu_emu.faults import plan
from vgpu_emu.faults.drawing import draw
from vgpu_emu.faults.plan import FAULTS, MESSAGES, Delay, Drop, Fault, LieAttribute, ShortenCapacity, plan_from_toml

MANY = draw(Random(5), 600)


def test_plan_of_a_scenario_is_a_list_of_tables() -> None:
    tables = tomllib.loads(
        """
        [[fault]]
        fault = "drop"
        message = "RESOURCE_MAP_BLOB"

        [[fault]]
        fault = "delay"
        link = "renderer"
        message = "EXPORT_BLOB"
        answer = true
        seconds = 30.0
        """
    )
    late = Delay(link="renderer", message="EXPORT_BLOB", answer=True, seconds=30.0)
    assert plan_from_toml(tables["fault"]) == [Drop(message="RESOURCE_MAP_BLOB"), late]


def test_random_plans_have_every_kind_and_are_the_seeds() -> None:
    assert {type(fault) for fault in MANY} == set(FAULTS)
    assert draw(Random(5), 600) == MANY != draw(Random(6), 600)


def test_repr_can_be_pasted() -> None:
    assert eval(repr(MANY), vars(plan)) == MANY
    assert repr(Drop(message="RESOURCE_MAP_BLOB")) == "Drop(message='RESOURCE_MAP_BLOB')"


def test_toml_says_the_same() -> None:
    assert plan_from_toml(msgspec.to_builtins(MANY)) == MANY


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ({"fault": "drpo"}, r"Invalid value 'drpo' - at `\$\[0\].fault`"),
        (
            {"fault": "drop", "message": "RESOURCE_MAP_BLOBB"},
            "RESOURCE_MAP_BLOBB.*; RESOURCE_MAP_BLOB[?]",
        ),
        ({"fault": "drop", "message": "resource_map_blob"}, "RESOURCE_MAP_BLOB[?]"),
        ({"fault": "drop", "message": "EXPORT_BLOB"}, "no message 'EXPORT_BLOB' on controlq"),
        ({"fault": "drop", "skip": -1}, "`int` >= 0"),
        ({"fault": "drop", "times": 0}, "`int` >= 1"),
        ({"fault": "drop", "when": 3}, "unknown field `when`"),
        ({"fault": "drop", "link": "wire"}, "Invalid enum value 'wire'"),
        ({"fault": "drop", "link": "fences", "answer": True}, "a signal has no answer"),
        ({"fault": "delay"}, "missing required field `seconds`"),
        ({"fault": "delay", "seconds": -0.5}, ">= 0"),
        ({"fault": "host-dies", "link": "controlq"}, "Invalid enum value 'controlq'"),
        ({"fault": "refuse", "errno": "EOOPS"}, "Invalid enum value 'EOOPS'"),
        ({"fault": "shorten-capacity", "capacity": 8, "answer": True}, "only a request on a queue has room"),
        ({"fault": "shorten-capacity", "capacity": 8, "link": "renderer"}, "only a request on a queue has room"),
    ],
)
def test_mistake_in_a_table_is_said_where_it_is(table: dict[str, object], mistake: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=mistake):
        plan_from_toml([table])


def test_messages_are_those_of_the_protocol() -> None:
    assert {link: len(names) for link, names in MESSAGES.items()} == {
        "controlq": 24,
        "cursorq": 2,
        "renderer": 13,
        "fences": 1,
    }


def test_schema_has_every_fault() -> None:
    """For editors, as a part of the scenario's."""
    schema = msgspec.json.schema(list[plan.AnyFault])
    assert {kind.__name__ for kind in FAULTS} <= set(schema["$defs"])


def test_faults_are_the_same_wherever_they_are_made() -> None:
    made: list[Fault] = [LieAttribute(value=3), ShortenCapacity(capacity=0)]
    assert [fault.link for fault in made] == ["renderer", "controlq"]
    assert LieAttribute(value=3).answer
