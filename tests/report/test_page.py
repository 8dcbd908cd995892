import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from made_up_run import build, settings_for

from urbanssl.artifacts import write_table
from urbanssl.report.page import write_report

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """The page as tags and text, and whether its tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.raw, self.tags, self.open, self.text = text, [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture
def page_of(settings, made_up):
    """Build the page of a run that has got as far as the parts named."""

    def build_page(*parts):
        root = made_up(*parts) if parts else settings.root
        html = root / "report" / "index.html"
        write_report(settings, root, html, root / "report" / "figures")
        return Page(html.read_text(encoding="utf-8"))

    return build_page


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The page of a run in which every stage has finished, and its folder of figures."""
    root = tmp_path_factory.mktemp("whole") / "run"
    settings = settings_for(root)
    build(root, *WHOLE)
    html = root / "report" / "index.html"
    write_report(settings, root, html, root / "report" / "figures")
    return Page(html.read_text(encoding="utf-8")), root / "report" / "figures"


WHOLE = ("scenes", "labels", "pretrain", "score", "predict", "crime", "drivers")


def test_page_needs_nothing_but_itself(whole):
    page, _ = whole
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), f"<{tag} {name}={target[:60]}>"
    assert not page.all("script")
    assert "@import" not in page.raw
    assert not re.search(r"url\((?!#|data:)", page.raw)


def test_tags_close_in_order_and_names_are_unique(whole):
    page, _ = whole
    assert page.open == []
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))


def test_every_picture_has_words_and_every_table_has_headers(whole):
    page, _ = whole
    pictures = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(pictures) >= 12
    assert all(len(a["aria-label"]) > 20 for a in pictures)
    assert all(len(a["alt"]) > 20 for a in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) - 1  # the small one has a heading
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))


def test_verdict_comes_before_any_number_and_card_before_any_map(whole):
    page, _ = whole
    order = re.findall(r'<section id="([^"]+)"', page.raw)
    assert order[:3] == ["verdict", "responsible-use", "numbers"]
    start, end = page.raw.index('id="verdict"'), page.raw.index('id="responsible-use"')
    told = re.sub(r"<[^>]+>", "", page.raw[start:end])
    assert "associated with the recorded rate" in told
    assert not re.search(r"0\.\d", told)
    first_map = page.raw.index("Maps of")
    assert page.raw.index("Recorded crime is not crime") < first_map


def test_empty_results_folder_is_said_to_be_empty(page_of):
    page = page_of()
    assert "No stage has left results yet" in page.words
    assert "The catalogue of scenes is missing" in page.words
    assert "No detector was trained in this run" in page.words
    assert "SwAV was not pretrained" in page.words
    assert not page.all("img")
    assert not [a for a in page.all("svg") if a.get("role") == "img"]


@pytest.mark.parametrize("parts", [("scenes",), ("scenes", "labels"), ("pretrain",), ("score",)])
def test_page_renders_from_whatever_stages_have_run(page_of, parts):
    page = page_of(*parts)
    assert page.open == []
    assert "Nothing can be said about crime rates" in page.words


def test_refused_study_shows_the_sentence_and_no_accuracy(page_of):
    page = page_of("scenes", "refused")
    assert "Two areas cannot tell a link from a coincidence" in page.words
    crime = page.raw[
        page.raw.index('<section id="crime"') : page.raw.index('<section id="methods"')
    ]
    assert not re.search(r"AUC|Brier|Spearman", re.sub(r"<[^>]+>", "", crime))
    numbers = page.raw[
        page.raw.index('<section id="numbers"') : page.raw.index('<section id="data"')
    ]
    assert "declined to score" in numbers
    assert not re.search(r"0\.\d\d", re.sub(r"<[^>]+>", "", numbers))
    assert "probability of high crime" not in page.words


def test_tiles_are_shown_as_what_moves_an_areas_prediction_and_never_as_high(whole):
    page, folder = whole
    assert (folder / "driver-tiles.png").is_file()
    text = next(a["alt"] for a in page.all("img") if "framed by how much" in a["alt"])
    assert "area north05: predicted chance 0.81" in text
    assert "it says nothing about the places in a tile" in page.words
    assert not re.search(r"criminal|crime tile|high-crime tile", page.words)
    assert page.raw.index("Recorded crime is not crime") < page.raw.index("Where the model looked")


def test_counts_of_objects_say_what_their_scores_are_worth(whole):
    page, _ = whole
    assert "found 39 objects; the scores add up to 105" in page.words
    assert "calibrated on other blocks of land to 41" in page.words


def test_what_pretraining_saw_and_areas_without_imagery_are_declared(whole):
    page, _ = whole
    assert "2 scenes of the study area (city-2, city-3). pretrain.strict forbids it" in page.words
    assert "Areas with too little imagery: west02, west09." in page.words


def test_probes_stand_before_and_after_and_unwanted_classes_share_a_reason(whole):
    words = whole[0].words
    assert "SwAV linear accuracy 0.350 0.520" in words
    assert (
        "outside its image: 2; no area: 7; not among labels.classes: 10 (ship 6, bridge 4)" in words
    )


def test_only_a_probe_of_blocks_is_said_to_fall_for_colours(whole):
    words = whole[0].words
    caution = "a fall here does not say that pretraining failed"
    assert words.count(caution) == 1
    assert "MAE: frozen features asked for the block" in words[: words.index(caution)][-300:]


def test_run_without_drivers_says_so(page_of):
    assert "No tiles are shown" in page_of("scenes", "crime").words


def test_crime_tables_account_is_shown_row_by_row(page_of):
    page = page_of("scenes", "crime")
    assert "1001 → 01001 and 8 more" in page.words
    assert "north03 (North 3)" in page.words
    assert "no row in the crime table" in page.words
    assert "(empty)" in page.words


def test_text_of_users_is_escaped(settings, made_up):
    hostile = settings.model_copy(update={"title": "<script>alert(1)</script> & co"})
    html = settings.root / "report" / "index.html"
    write_report(hostile, settings.root, html, html.parent / "figures")
    assert not Page(html.read_text()).all("script")


def test_figures_are_kept_as_files(whole):
    _, folder = whole
    names = {path.name for path in folder.iterdir()}
    assert {"arms.svg", "splits.svg", "examples.png", "crime-auc.svg", "leakage.svg"} <= names
    assert "var(--" not in (folder / "arms.svg").read_text()


def test_run_without_a_crime_table_says_so(settings, made_up):
    root = made_up("scenes", "labels")
    html = root / "report" / "index.html"
    crime = settings.crime.model_copy(update={"table": None})
    write_report(settings.model_copy(update={"crime": crime}), root, html, html.parent / "figures")
    words = Page(html.read_text(encoding="utf-8")).words
    assert "Crime rates were not part of this run" in words
    assert "has left no metrics" not in words


def test_objects_found_in_the_study_area_are_counted_and_located(whole, page_of):
    words = whole[0].words
    assert "detr-detreg_f100_s0 searched 2 scenes of the study area" in words
    assert "is in predict/detr-detreg_f100_s0/, as .boxes.gpkg" in words
    assert "plane 2 0 2 ship 2 1 2" in words
    assert "searched" not in page_of("scenes", "labels", "score").words


def test_images_without_a_georeference_are_said_to_be_blocks(settings, made_up):
    words = []
    for placed in (True, False):
        root = made_up("scenes", "labels")
        path = root / "scenes" / "catalogue.parquet"
        table = pd.read_parquet(path).assign(georeferenced=placed)
        write_table(path, table, {})
        html = root / "report" / "index.html"
        write_report(settings, root, html, html.parent / "figures")
        words.append(Page(html.read_text(encoding="utf-8")).words)
    assert ["a block of its own" in text for text in words] == [False, True]
