"""What a run shows, in words and by rule: the first thing a reader of the report meets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from urbanssl.report.blocks import Block, Items, Note, Number, Numbers, Prose, Section
from urbanssl.report.comparison import Difference, Summary, differences, summarise
from urbanssl.report.gather import Results
from urbanssl.report.wording import (
    NONE,
    bounds_of,
    is_number,
    number,
    signed,
    with_interval,
)

NO_CRIME = "Nothing can be said about crime rates: the crime stage has left no metrics in this run."
NO_TABLE = "Crime rates were not part of this run: it has no crime table."
NO_SCORES = "Nothing can be said about detection: no arm has been scored in this run."


def claims(results: Results) -> bool:
    """Whether the crime stage claims anything, by its own rule."""
    verdict = (results.crime or {}).get("verdict") or {}
    return bool(verdict.get("claim"))


def refused(results: Results) -> bool:
    """Whether the crime stage declined to score: then there is no accuracy to show."""
    if results.crime is None:
        return False
    verdict = results.crime.get("verdict") or {}
    return bool(verdict.get("refused")) or not results.crime.get("scores")


def crime_sentence(results: Results) -> str:
    """Return the verdict on crime in one sentence."""
    if results.crime is None:
        return NO_TABLE if results.settings.crime.table is None else NO_CRIME
    verdict = results.crime.get("verdict") or {}
    return str(verdict.get("headline") or "The crime stage gave no verdict.")


def verdict_section(results: Results) -> Section:
    """Return the verdict in words, without a number."""
    blocks: list[Block] = [Note(in_words(crime_sentence(results)), "verdict")]
    if reasons := further_reasons(results):
        blocks.append(Items([in_words(reason) for reason in reasons]))
    blocks.append(Prose(detection_words(results)))
    return Section("verdict", "What this run shows", blocks)


def further_reasons(results: Results) -> list[str]:
    """Return the reasons of the verdict on crime that its sentence does not give already."""
    if results.crime is None:
        return []
    verdict = results.crime.get("verdict") or {}
    said = crime_sentence(results).lower()
    reasons = [str(reason) for reason in verdict.get("reasons") or []]
    return [reason for reason in reasons if reason.lower().rstrip(".") not in said]


def in_words(sentence: str) -> str:
    """Return a sentence of the verdict without its scores, which follow further down."""
    return re.sub(r" \(AUC [^)]*\)", "", sentence)


def detection_words(results: Results) -> str:
    """Return in words which arm did best and whether self-supervised starts helped."""
    if not results.scored:
        return NO_SCORES
    most = max(run.fraction for run in results.scored)
    full = [s for s in summarise(results.scored, "AP50") if s.fraction == most]
    best = max(full, key=lambda summary: summary.value)
    sentences = [f"Among the detectors, {best.arm} did best on the test tiles (AP50)."]
    sentences += [_start_words(found) for found in differences(results, "AP")]
    return " ".join(sentences)


def _start_words(found: Difference) -> str:
    share = f" with {found.fraction:g} % of the labels" if found.fraction < 100 else ""
    baseline = f"{found.baseline} (trained for more steps)" if found.longer else found.baseline
    alone = "" if found.longer else ", which was not trained longer in place of the pretraining"
    words = {
        "better": f"Starting from self-supervised weights helped {found.arm}{share}: it did better "
        f"than {baseline}{alone}.",
        "worse": f"Starting from self-supervised weights did not help {found.arm}{share}: it did "
        f"worse than {baseline}.",
        "open": f"Whether the self-supervised start of {found.arm} helps{share} cannot be told "
        f"from this test: the interval of its difference from {baseline} includes zero.",
    }
    return words[found.finding]


def card() -> Section:
    """Return the responsible-use card, which stands before the first map."""
    return Section(
        "responsible-use",
        "Read this before any map or number",
        (
            Items(
                (
                    _point(
                        "Recorded crime is not crime.",
                        "Tables count what was reported and "
                        "recorded. Both differ from place to place, for reasons that include "
                        "trust in the police and where the police look.",
                    ),
                    _point(
                        "Areas are not people.",
                        "A link between areas says nothing about "
                        "anyone who lives in them (the ecological fallacy), and it can change or "
                        "vanish when boundaries are drawn differently (the modifiable areal unit "
                        "problem).",
                    ),
                    _point(
                        "Association is not cause.",
                        "Nothing here says that a building, a car "
                        "park or a tree makes crime more or less likely.",
                    ),
                    _point(
                        "Not for decisions about people or patrols.",
                        "These results must not "
                        "be used to police, lend, insure, let or hire, nor to mark streets or "
                        "addresses. Maps show areas with their uncertainty, never tiles.",
                    ),
                    _point(
                        "Imagery and labels have licences.",
                        "Check them before you share pictures from this report.",
                    ),
                )
            ),
            Prose("The long form, with sources, is docs/responsible-use.md of the project."),
        ),
    )


def _point(title: str, text: str) -> Markup:
    return Markup("<strong>{}</strong> {}").format(title, text)


def numbers_section(results: Results) -> Section:
    """Return the headline numbers: mAP by arm, crime AUC, leakage gap."""
    entries = [_detection_number(results), *_crime_numbers(results)]
    blocks: list[Block] = [
        Numbers(entries),
        Prose(
            "Brackets hold 95 % intervals: the range of values that the data of this run leave "
            "open. A number without its interval should not be quoted."
        ),
    ]
    return Section("numbers", "Headline numbers", blocks)


def _detection_number(results: Results) -> Number:
    if not results.scored:
        return Number("mAP by arm", NONE, NO_SCORES)
    most = max(run.fraction for run in results.scored)
    ap50 = {(s.arm, s.fraction): s for s in summarise(results.scored, "AP50")}
    rows = Markup("").join(
        _arm_row(summary, ap50.get((summary.arm, summary.fraction)))
        for summary in summarise(results.scored, "AP")
        if summary.fraction == most
    )
    table = Markup(
        '<table class="mini"><thead><tr><th scope="col">arm</th><th scope="col">mAP</th>'
        '<th scope="col">AP50</th></tr></thead><tbody>{}</tbody></table>'
    ).format(rows)
    meaning = "COCO average precision on the test tiles, 0 to 1; AP50 counts a box as found when "
    return Number("mAP by arm", table, meaning + "it overlaps the label by at least half.")


def _arm_row(ap: Summary, ap50: Summary | None) -> Markup:
    return Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>').format(
        ap.arm,
        with_interval(ap.value, ap.interval),
        with_interval(ap50.value, ap50.interval) if ap50 else NONE,
    )


def _crime_numbers(results: Results) -> list[Number]:
    auc, gap = "Crime AUC", "Leakage gap"
    if results.crime is None:
        why = crime_sentence(results)
        return [Number(auc, NONE, why), Number(gap, NONE, why)]
    if refused(results):
        why = "Not given: the crime stage declined to score, for the reason stated above."
        return [Number(auc, NONE, why), Number(gap, NONE, why)]
    head = results.crime.get("headline") or {}
    features = str(head.get("features") or "the features")
    return [
        Number(
            auc,
            _stacked(number(head.get("auc"), 2), head.get("auc_interval")),
            f"Chance that {features} features rank an area with a high recorded rate above one "
            "with a low rate, in regions the model has never seen. 0.5 is a coin toss.",
        ),
        Number(
            gap,
            _stacked(signed(head.get("leakage_gap"), None, 2), head.get("leakage_gap_interval")),
            "AUC under random folds minus AUC with whole regions held out: how much a careless "
            "test would have flattered the result.",
        ),
    ]


def _stacked(value: str, interval: Any) -> Markup:
    bounds = bounds_of(interval)
    if bounds is None:
        return Markup('<span class="big">{}</span>').format(value)
    return Markup('<span class="big">{}</span> <span class="ci">{} to {}</span>').format(
        value, number(bounds[0], 2), number(bounds[1], 2)
    )


def truth_words(truth: Mapping[str, Any] | None) -> str | None:
    """Return what the embedded city's own truth allows, None where it is not stated."""
    attainable = ((truth or {}).get("attainable") or {}).get("leave_region_out") or {}
    if not is_number(attainable.get("auc")):
        return None
    return (
        "The city was drawn, so its truth is known: with whole regions held out, the best "
        "possible model that is told what is built in each area would reach an AUC of "
        f"{number(attainable['auc'], 2)}."
    )
