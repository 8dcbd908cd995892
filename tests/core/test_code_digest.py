import shutil
from pathlib import Path

import pytest

import urbanssl
from urbanssl import code_digest


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may edit."""
    root = tmp_path / "urbanssl"
    shutil.copytree(Path(urbanssl.__file__).parent, root)
    monkeypatch.setattr(code_digest, "_ROOT", root)

    def edit(module, line):
        with open(root / module, "a") as stream:
            stream.write("\n" + line + "\n")
        code_digest._kept.cache_clear()

    edit("artifacts.py", "")
    yield edit
    code_digest._kept.cache_clear()


def digests():
    return {
        name: code_digest.code_digest(name)
        for name in ("urbanssl.ssl.mae_model", "urbanssl.ssl.swav_model", "urbanssl.crime.judge")
    }


def changed(before):
    return {name for name, digest in digests().items() if digest != before[name]}


def test_editing_mae_changes_the_digest_of_mae_alone(package):
    before = digests()
    package("ssl/mae_model.py", "EDITED = 1")
    assert changed(before) == {"urbanssl.ssl.mae_model"}


def test_editing_what_all_import_changes_all(package):
    before = digests()
    package("artifacts.py", "EDITED = 1")
    assert "urbanssl.crime.judge" in changed(before)


def test_comments_docstrings_and_error_texts_do_not_count(package):
    before = digests()
    package("ssl/mae_model.py", "# only a comment")
    package("errors.py", "EDITED = 1")
    assert changed(before) == set()


def test_what_was_read_before_is_kept_and_gives_the_same_digest(package, monkeypatch):
    before = digests()
    code_digest._kept.cache_clear()
    monkeypatch.setattr(code_digest.ast, "parse", None)
    assert digests() == before


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        code_digest.code_digest("urbanssl.nowhere")
