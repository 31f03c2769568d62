"""A mistake in a scenario file: where it is, and what was meant."""

import pytest
from scenario_kit import BLOB, HEAD, MMAP

from vgpu_emu.scenario.loading import MAX_ROWS, loads
from vgpu_emu.scenario.mistakes import ScenarioMistake
from vgpu_emu.scenario.steps_raw import MAX_CAPACITY

GOOD = HEAD + BLOB + MMAP


def mistake(text: str) -> ScenarioMistake:
    with pytest.raises(ScenarioMistake) as caught:
        loads(text, "file")
    return caught.value


def test_good_text_is_a_scenario() -> None:
    (scenario,) = loads(GOOD)
    assert [step.title for step in scenario.step] == ["create-blob exporter wc as blob", "mmap of blob as view"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('do = "mmap"', 'do = "mmpa"', "file:8: step[1].do: 'mmpa' is not a word for it; did you mean mmap"),
        ('do = "mmap"\n', "", "file:7: step[1]: a step needs do"),
        ('of = "blob"', 'off = "blob"', "file:9: step[1].off: a step mmap has no off; did you mean of?"),
        ('of = "blob"\n', "", "file:7: step[1]: a step mmap needs of"),
        ('of = "blob"', 'of = "blub"', "file:9: step[1].of: nothing is called blub; did you mean blob?"),
        ('of = "blob"', 'of = "view"', "file:9: step[1].of: nothing is called view; there are blob"),
        ('"wc"', '"vc"', "file:5: step[0].exporter: 'vc' is not a word for it; did you mean wc?"),
        ('why = "It is a test."\n', "", "file: the file needs why"),
        ('why = "It', 'whi = "It', "file:2: whi: the file has no whi; did you mean why?"),
        ("test@one", "Test", "file:1: id: an id is group@subtest"),
        ('as = "view"', 'as = "a view"', "file:10: step[1].as: a name is of letters"),
        ('as = "view"', "as = 5", "file:10: step[1].as: expected `text`, got `number`"),
        ('as = "view"', "expect = 5", "file:10: step[1].expect: expected `table`, got `number`"),
        ('as = "blob"', 'flags = "mappable"', "file:6: step[0].flags: expected `number or list`, got `text`"),
        ("[[step]]", '[[fault]]\nkind = "drop"\n[[step]]', "file:3: fault[0]: a fault needs fault"),
        ('as = "view"', 'expect.pgprot = "cashed"', "file:10: step[1].expect.pgprot: 'cashed' is not a word"),
        ('as = "view"', 'expect = { pgprot = "wc" }', "file:10: step[1].expect.pgprot: 'wc' is not a word"),
        ('as = "view"', 'expect.errno = "EINVALL"', "step[1].expect.errno: 'EINVALL' is not a word for it; did"),
        ('as = "view"', 'expect.bytes = "zz"', "file:10: step[1].expect: "),
        ('[[step]]\ndo = "mmap"', '[[stepp]]\ndo = "mmap"', "file:7: stepp: the file has no stepp; did you mean step?"),
        ('why = "It is a test."', 'why = "It is a test.', "file:2: it is no TOML"),
        ('why = "It is a test."', 'why = ""', "file:2: why: "),
        ("[[step]]", 'profile = "crosvmm"\n[[step]]', "file:3: profile: no profile 'crosvmm'; there are crosvm"),
        ("[[step]]", 'platform = "x86"\n[[step]]', "file:3: platform: 'x86' is not a word for it; there are"),
        ("[[step]]", 'features = ["virg"]\n[[step]]', "file:3: features[0]: 'virg' is not a word for it; did you mean"),
        ("[[step]]", 'profile = "qemu-2d"\nfeatures = ["virgl"]\n[[step]]', "features: qemu-2d does not offer virgl"),
        ("[[step]]", "[hardware]\nhost_visble = 5\n[[step]]", "file:4: hardware.host_visble: [hardware] has no host"),
        ("[[step]]", "[hardware]\nhost_visible = -5\n[[step]]", "hardware.host_visible: expected `number` >= 0"),
    ],
)  # fmt: skip
def test_mistake_is_told_with_its_place_and_what_was_meant(old: str, new: str, says: str) -> None:
    assert old in GOOD
    assert says in str(mistake(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("[[parameters]]\nkind = 'wc'\n", "step[0].exporter: no parameter knd; did you mean kind?"),
        ("parameters = 5\n", "parameters: it is an array of tables: [[parameters]]"),
        ("parameters = [5]\n", "parameters: it is an array of tables: [[parameters]]"),
        ("[[parameters]]\nknd = 'wc'\n[[parameters]]\nknd = 'wc'\n", "parameters[1]: a second test@one@wc"),
        ("[[parameters]]\nknd = 'vc'\n", "step[0].exporter: 'vc' is not a word for it"),
    ],
)
def test_mistake_in_parameters(head: str, says: str) -> None:
    assert says in str(mistake(HEAD + head + BLOB.replace('"wc"', '"{knd}"')))


@pytest.mark.parametrize("step", ['do = "sleep"', 'do = "syncobj-wait"\nof = "sync"'])
def test_time_that_passes_has_an_end(step: str) -> None:
    def text(seconds: str) -> str:
        return f'{HEAD}[[step]]\ndo = "syncobj-create"\nas = "sync"\n[[step]]\n{step}\nseconds = {seconds}\n'

    for seconds in ("0", "999999999.0", "1e9"):
        assert loads(text(seconds))
    for seconds in ("1000000000.1", "inf", "nan", "-0.1"):
        assert "step[1].seconds: expected `number`" in str(mistake(text(seconds)))


def test_room_for_an_answer_has_a_limit() -> None:
    def text(capacity: int) -> str:
        return f'{HEAD}[[step]]\ndo = "raw"\nmessage = "GET_DISPLAY_INFO"\ncapacity = {capacity}\n'

    for capacity in (MAX_CAPACITY - 1, MAX_CAPACITY):
        assert loads(text(capacity))
    assert f"step[0].capacity: expected `number` <= {MAX_CAPACITY}" in str(mistake(text(MAX_CAPACITY + 1)))


def test_number_of_rows_has_a_limit() -> None:
    def text(rows: int) -> str:
        return HEAD + "".join(f"[[parameters]]\nname = {n}\n" for n in range(rows)) + BLOB

    for rows in (MAX_ROWS - 1, MAX_ROWS):
        assert len(loads(text(rows))) == rows
    assert f"{MAX_ROWS} are enough" in str(mistake(text(MAX_ROWS + 1)))


def test_line_behind_a_string_of_several_lines_is_right() -> None:
    text = GOOD.replace('"It is a test."', '"""\n[[step]]\ndo = "mmpa"\n"""').replace("exporter", "exportr")
    assert str(mistake(text)).startswith("file:8: step[0].exportr: a step create-blob has no exportr")


def test_rows_are_scenarios_of_their_own() -> None:
    rows = '[[parameters]]\nname = "One!"\nkind = "wc"\nsize = 0x2000\n[[parameters]]\nkind = "cached"\nsize = 0x3000\n'
    text = HEAD + rows + BLOB.replace('"wc"', '"{kind}"\nsize = "{size}"\ncomment = "of {size} bytes"')
    first, second = loads(text)
    assert [first.id, second.id] == ["test@one@one", "test@one@cached"]
    assert first.step[0].title == "create-blob exporter wc, size 0x2000 as blob"
    assert second.step[0].comment == "of 12288 bytes"
