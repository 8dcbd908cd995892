"""The lock, the conda file and the container say the same as pyproject.toml."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
#: In the lock, the build of OpenCV that needs no libGL stands in for the other.
STANDS_IN = {"opencv-python": "opencv-python-headless"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def lock():
    lines = (ROOT / "envs" / "requirements.lock").read_text().splitlines()
    pins = [line.split("#")[0].strip() for line in lines]
    return dict(pin.split("==") for pin in pins if pin)


def locked_name(name):
    """The name under which the lock has a package."""
    canonical = canonicalize_name(name)
    return STANDS_IN.get(canonical, canonical)


def wanted(project):
    return [
        Requirement(text)
        for text in project["dependencies"] + project["optional-dependencies"]["dev"]
    ]


def test_the_lock_holds_nothing_but_pinned_packages():
    for line in (ROOT / "envs" / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[A-Za-z0-9.+]+( +# via .*)?", line), line


def test_the_lock_pins_what_the_project_asks_for(project, lock):
    for requirement in wanted(project):
        pinned = lock.get(locked_name(requirement.name))
        assert pinned, f"{requirement.name} is not in the lock: run make lock"
        assert pinned in requirement.specifier, f"{requirement} is pinned to {pinned}"


def test_the_lock_is_complete_so_that_nothing_needs_resolving(project, lock):
    environment = {**default_environment(), "extra": ""}
    waiting = [locked_name(requirement.name) for requirement in wanted(project)]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name in lock, f"{name} is not in the lock: run make lock"
        for text in requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            waiting.append(locked_name(requirement.name))


def test_the_tests_run_on_what_the_lock_pins(lock):
    other = {}
    for name, pinned in lock.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "missing"
        if found.split("+")[0] != pinned:
            other[name] = f"{found}, locked {pinned}"
    assert other == {}, "run: make setup"


def test_torch_and_torchvision_are_a_pair(lock):
    assert (lock["torch"], lock["torchvision"]) == ("2.11.0", "0.26.0")


def test_the_conda_file_pins_the_same_packages(lock, project):
    content = yaml.safe_load((ROOT / "envs" / "environment.yaml").read_text())
    listed = content["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    back = {stand: name for name, stand in STANDS_IN.items()}
    assert dict(pin.split("==") for pin in pip) == {
        back.get(name, name): pinned for name, pinned in lock.items()
    }
    python = next(str(entry) for entry in listed if str(entry).startswith("python="))
    assert python.removeprefix("python=") in SpecifierSet(project["requires-python"])


def test_the_container_installs_the_lock_on_a_python_the_project_allows(project):
    definition = (ROOT / "envs" / "urbanssl.def").read_text()
    python = re.search(r"From: python:(\d+\.\d+)", definition)[1]
    assert python in SpecifierSet(project["requires-python"])
    copied = re.search(r"%files\n(.*?)\n\n", definition, re.DOTALL)[1].split("\n")
    for source, _ in (line.split() for line in copied):
        assert (ROOT / source).exists(), source
    assert "--no-deps -r /opt/urbanssl/requirements.lock" in definition
