from pathlib import Path

from urbanssl.settings import Settings
from urbanssl.settings_docs import settings_reference

CONFIG = Path(__file__).parents[2] / "config"
REMEDY = "run `python -m urbanssl.settings_docs` and commit what it wrote"


def test_reference_of_settings_says_what_the_settings_say():
    assert (CONFIG / "README.md").read_text() == settings_reference(), REMEDY


def _keys(values, path=""):
    for name, value in values.items():
        key = f"{path}.{name}" if path else name
        if isinstance(value, dict) and key != "detect.arms":
            yield from _keys(value, key)
        else:
            yield key


def test_every_key_is_in_the_reference_with_a_meaning():
    rows = {
        line.split("`")[1]: line.split(" | ")[-1]
        for line in settings_reference().splitlines()
        if line.startswith("| `")
    }
    for key in _keys(Settings.model_validate({}).model_dump(mode="json")):
        assert key in rows, f"{key} is not in the reference"
        assert rows[key].strip(" |"), f"{key} has no description in settings.py"


def test_range_and_choices_are_told():
    text = settings_reference()
    assert "`none`, `range`, `training`" in text
    assert "≥ 32, ≤ 4096, multiple of 16" in text
