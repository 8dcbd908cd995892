import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from urbanssl.errors import TrainingError
from urbanssl.ssl.labelled_folder import labelled_images
from urbanssl.ssl.probe import probe


@pytest.fixture
def folder(tmp_path):
    for name, value in (("dark", 20), ("light", 220)):
        (tmp_path / name).mkdir()
        for number in range(12):
            image = np.full((20 + number, 24, 3), value + number, np.uint8)
            Image.fromarray(image).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_images_of_a_folder_have_its_names_as_labels_and_one_size(folder):
    found = labelled_images(folder)
    images = found.read(16)
    assert images.shape == (24, 16, 16, 3)
    assert found.classes == ("dark", "light")
    assert ((images.mean((1, 2, 3)) > 128) == (found.labels == 1)).all()
    assert found.learn.sum() == 12


def test_train_and_test_folders_are_the_split(folder):
    for part, numbers in (("train", (1, 2)), ("test", (3,))):
        for name in ("dark", "light"):
            (folder / part / name).mkdir(parents=True)
            for number in numbers:
                (folder / name / f"{number}.png").rename(folder / part / name / f"{number}.png")
    found = labelled_images(folder)
    assert len(found.files) == 6
    assert found.learn.tolist() == [path.parts[-3] == "train" for path in found.files]


def test_a_folder_of_one_class_is_refused(folder):
    (folder / "light").rename(folder.parent / "elsewhere")
    with pytest.raises(TrainingError, match="images of 1 classes"):
        labelled_images(folder)


def test_features_that_hold_the_label_are_told_from_noise():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    noise = rng.normal(size=(200, 8))
    signal = noise + 5 * np.eye(8)[labels]
    good, bad = probe(signal, labels), probe(noise, labels)
    assert min(good["knn"], good["linear"]) > 0.95
    assert max(bad["knn"], bad["linear"]) < bad["chance"] + 0.2


def weak_directions(labels, rng):
    """Features of one strong direction; the label is in weak ones, a hundredth of it."""
    count, classes = len(labels), labels.max() + 1
    common = rng.normal(size=(count, 1)) @ rng.normal(size=(1, 64))
    weak = 0.01 * np.eye(classes)[labels] @ rng.normal(size=(classes, 64))
    return common + weak + 0.002 * rng.normal(size=(count, 64))


def test_weak_directions_that_hold_the_label_are_found_by_the_linear_probe():
    labels = np.arange(400) % 8
    features = weak_directions(labels, np.random.default_rng(0))
    assert probe(features, labels)["linear"] > 0.95


def test_a_rare_class_does_not_keep_the_penalty_from_being_chosen(recwarn):
    labels = np.append(np.arange(100) % 8, [8] * 4)
    learn = np.random.default_rng(1).permutation(104) % 2 == 0
    learn[100:] = [True, False, False, False]
    features = weak_directions(labels, np.random.default_rng(0))
    fixed = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    fixed.fit(features[learn], labels[learn])
    found = probe(features, labels, learn)["linear"]
    assert found > fixed.score(features[~learn], labels[~learn]) + 0.05
    assert not [warning for warning in recwarn if "least populated" in str(warning.message)]


@pytest.mark.parametrize("members", [4, 5])
def test_classes_of_few_members_are_told_apart(members):
    labels = np.repeat(np.arange(3), members)
    features = np.random.default_rng(0).normal(size=(len(labels), 5)) + 9 * np.eye(5)[labels]
    assert probe(features, labels)["linear"] == 1
