"""Wrong settings are refused with everything wrong at once; right ones are read as they stand."""

import json
from pathlib import Path

import pytest
import yaml

from urbanssl.errors import SettingsError
from urbanssl.load_settings import load_settings
from urbanssl.settings import Settings
from urbanssl.settings_schema import allowed_text, schema

ROOT = Path(__file__).parents[2]
RECIPES = ("swav", "mae", "detreg", "deformable_detr", "vitdet")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the recipes that the defaults name."""
    models = tmp_path / "config" / "models"
    models.mkdir(parents=True)
    for name in RECIPES:
        (models / f"{name}_tiny.py").write_text("model = None\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def come_with_urbanssl():
    """The plain values of config/config.yaml."""
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture
def refused(folder):
    """Return the message that refuses a YAML text."""

    def refusal(text: str) -> str:
        (folder / "c.yaml").write_text(text)
        with pytest.raises(SettingsError) as caught:
            load_settings("c.yaml")
        return str(caught.value)

    return refusal


def test_an_empty_file_gives_the_defaults(folder):
    (folder / "c.yaml").write_text("# nothing\n")
    assert load_settings("c.yaml") == Settings()


def test_config_yaml_shows_every_key(come_with_urbanssl):
    every = Settings().model_dump(mode="json", exclude={"detect": {"arms"}})
    missing = set(dict(_leaves("", every))) - set(dict(_leaves("", come_with_urbanssl)))
    assert missing == set(), "show them in config/config.yaml with unit and allowed values"


def _leaves(place, values):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(f"{place}{key}.", value)
        else:
            yield f"{place}{key}", value


def test_values_of_the_file_are_taken(folder):
    (folder / "c.yaml").write_text("seed: 7\ntiles: {size: 256, gsd: 1}\n")
    settings = load_settings("c.yaml")
    assert (settings.seed, settings.tiles.size, settings.tiles.gsd) == (7, 256, 1.0)


def test_every_problem_is_listed_at_once_in_the_order_of_the_file(refused):
    message = refused(
        "sed: 3\nseed: -1\ntiles:\n  size: 100\n  grid: pixle\ncrime:\n  table: nope.csv\n"
    )
    assert "5 problems" in message
    lines = [line for line in message.splitlines() if "c.yaml:" in line]
    assert [int(line.split("c.yaml:")[1].split()[0]) for line in lines] == [1, 2, 4, 5, 7]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sed: 3\n", ["c.yaml:1 sed", "unknown key `sed`", "did you mean `seed`?"]),
        ("overlap: 3\n", ["c.yaml:1 overlap", "did you mean `tiles.overlap`?"]),
        ("tiles:\n  ovrlap: 3\n", ["c.yaml:2 tiles.ovrlap", "did you mean `tiles.overlap`?"]),
        ("seed: -1\n", ["c.yaml:1 seed: -1", "a whole number from 0"]),
        ("seed: 1.5\n", ["1.5 is not allowed"]),
        ("seed: true\n", ["true is not allowed"]),
        ('seed: "3"\n', ['"3" is not allowed', "a whole number"]),
        ("tiles: {size: 100}\n", ["100 is not allowed", "32 to 4096, a multiple of 16", "pixels"]),
        ("tiles: {grid: pixle}\n", ["did you mean 'pixel'?", "allowed: pixel, xyz"]),
        ("tiles: {bands: [1, 2]}\n", ["tiles.bands: [1, 2]", "a list [3 of a whole number]"]),
        ("tiles:\n", ["tiles: nothing is given", "a section with the keys grid, size"]),
        ("tiles: 3\n", ["tiles: 3 is not allowed", "a section with the keys"]),
        ("splits: {val: .nan}\n", ["NaN is not allowed", "from 0 to 1"]),
        ("labels: {classes: [pool]}\n", ["did you mean 'swimming-pool'?", "helicopter"]),
        ("detect: {arms: {a b: {recipe: r, init: mae}}}\n", ["`a b` is not allowed as a name"]),
        ("detect: {arms: {a: {init: mae}}}\n", ["detect.arms.a.recipe: missing"]),
        ("detect: {fractions: []}\n", ["[] is not allowed", "at least one of"]),
        ("detect: {fractions: [1, 2]}\n", ["detect.fractions.1: 2 is not allowed"]),
        ("crime: {threshold: high}\n", ["median, tercile or a number above 0"]),
        ("tiles: {size: 96, overlap: 100}\n", ["overlap (100) must be below size (96)"]),
        ("predict:\n  study_arm: foo\n", ["1 problem\n", "c.yaml:2", "'foo'", "detr-detreg"]),
        ("seed: x\npredict: {study_arm: foo}\n", ["2 problems", "'foo'"]),
        ("scenes: {sheet: shet.csv}\n", ["c.yaml:1 scenes.sheet", "no such file"]),
        (
            "pretrain: {swav: {recipe: config/models/swav_tinny.py}}\n",
            ["no such file", "did you mean 'config/models/swav_tiny.py'?"],
        ),
        ("crime: {table: $UNSET_FOLDER/x.csv}\n", ["the variable UNSET_FOLDER is not set"]),
        ("seed: 1\nseed: 2\n", ["c.yaml:2", "`seed` stands there twice, first on line 1"]),
        ("a: [1\nb: 2\n", ["c.yaml:2", "YAML syntax error"]),
        ("tiles:\n\tsize: 96\n", ["c.yaml:2", "spaces, not tabs"]),
        ("- seed\n", ["holds a sequence, not keys with values"]),
    ],
)
def test_a_problem_names_line_key_value_and_what_is_allowed(refused, text, expected):
    message = refused(text)
    for part in expected:
        assert part in message


def test_a_missing_settings_file_is_named(folder):
    with pytest.raises(SettingsError, match=r"nope\.yaml: no such file"):
        load_settings("nope.yaml")


def test_a_default_file_that_is_missing_is_said_to_be_a_default(folder):
    (folder / "config" / "models" / "mae_tiny.py").unlink()
    (folder / "c.yaml").write_text("seed: 1\n")
    with pytest.raises(SettingsError, match=r"pretrain\.mae\.recipe \(default\)"):
        load_settings("c.yaml")


def test_numbers_with_an_exponent_are_numbers_though_yaml_reads_text(folder):
    (folder / "c.yaml").write_text("pretrain: {mae: {lr: 1e-4, steps: 1e3}}\n")
    mae = load_settings("c.yaml").pretrain.mae
    assert (mae.lr, mae.steps) == (1e-4, 1000)


def test_nested_numbers_given_on_the_command_line_arrive_as_text_and_are_read(folder):
    (folder / "c.yaml").write_text("tiles: {size: 96, overlap: 16}\n")
    merged = {"tiles": {"size": "128", "overlap": 16}, "crime": {"shrink": "false"}}
    settings = load_settings(merged, ["c.yaml"])
    assert settings.tiles.size == 128
    assert settings.crime.shrink is False


def test_null_given_on_the_command_line_is_no_value_and_in_a_file_quoted_it_is_text(folder):
    (folder / "c.yaml").write_text('title: "null"\ncrime: {table: embedded}\n')
    merged = {"title": "null", "crime": {"table": "null"}}
    settings = load_settings(merged, ["c.yaml"])
    assert settings.crime.table is None
    assert settings.title == "null"


def test_compiling_is_refused_where_it_would_change_nothing(folder):
    (folder / "c.yaml").write_text("pretrain: {mae: {compiled: true}, detreg: {compiled: true}}\n")
    with pytest.raises(
        SettingsError, match=r"c\.yaml:1 pretrain\.detreg\.compiled: true"
    ) as refused:
        load_settings("c.yaml")
    assert "mae" not in str(refused.value)


def test_a_wrong_value_of_the_command_line_is_said_to_come_from_there(folder):
    (folder / "c.yaml").write_text("seed: 1\n")
    with pytest.raises(SettingsError, match="--config seed: -4 is not allowed"):
        load_settings({"seed": -4}, ["c.yaml"])


def test_the_last_of_several_files_is_named(folder):
    (folder / "a.yaml").write_text("seed: 1\ntiles: {size: 96}\n")
    (folder / "b.yaml").write_text("\n\nseed: -1\n")
    with pytest.raises(SettingsError, match=r"b\.yaml:3 seed"):
        load_settings({"seed": -1, "tiles": {"size": 96}}, ["a.yaml", "b.yaml"])


def test_a_glob_of_crime_tables_needs_one_match(folder):
    (folder / "crime_2019.csv").write_text("x\n")
    (folder / "c.yaml").write_text("crime: {table: crime_*.csv}\n")
    assert load_settings("c.yaml").crime.table == "crime_*.csv"


def test_every_key_says_what_is_allowed():
    def keys(node, above=()):
        if "$ref" in node:
            node = schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        for key, inner in node.get("properties", {}).items():
            yield (*above, key)
            yield from keys(inner, (*above, key))

    listed = list(keys(schema()))
    assert len(listed) > 60
    assert [key for key in listed if "a value" in allowed_text(key)] == []


def test_the_settings_that_come_with_urbanssl_show_every_key(come_with_urbanssl):
    def missing(node, values, above=""):
        if "$ref" in node:
            node = schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        for key, inner in node.get("properties", {}).items():
            if key not in values:
                yield above + key
            elif isinstance(values[key], dict):
                yield from missing(inner, values[key], f"{above}{key}.")

    assert list(missing(schema(), come_with_urbanssl)) == []


def test_the_schema_for_editors_is_that_of_the_settings():
    stored = json.loads((ROOT / "config" / "schema.json").read_text())
    assert stored == json.loads(json.dumps(schema())), "run: make schema"
