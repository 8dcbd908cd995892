"""The headline numbers of a run, for the end of `make demo`."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from urbanssl.report.comparison import summarise
from urbanssl.report.gather import Results
from urbanssl.report.verdict import crime_sentence, refused
from urbanssl.report.wording import signed, with_interval
from urbanssl.settings import Settings


def headline(results: Path, settings: Settings | None = None) -> list[str]:
    """Return the three headline numbers of a run and the path of its report, a line each.

    Args:
        results: results folder of the run.
        settings: settings of the run, for the order of the arms; the defaults where left out.
    """
    found = Results(results, settings or Settings.model_validate({}))
    report = results / "report" / "index.html"
    place = str(report.resolve()) if report.is_file() else f"not written yet ({report})"
    return [*_detection(found), *_crime(found), f"report: {place}"]


def _detection(found: Results) -> list[str]:
    if not found.scored:
        return ["mAP by arm: no arm has been scored"]
    ap50 = {(s.arm, s.fraction): s.value for s in summarise(found.scored, "AP50")}
    lines = ["mAP by arm (test tiles, 95 % interval):"]
    for summary in summarise(found.scored, "AP"):
        share = "" if summary.fraction == 100 else f" {summary.fraction:g} %"
        value = with_interval(summary.value, summary.interval)
        half = ap50.get((summary.arm, summary.fraction), float("nan"))
        lines.append(f"  {summary.arm + share:<20} {value}  AP50 {half:.3f}")
    return lines


def _crime(found: Results) -> list[str]:
    if found.crime is None or refused(found):
        return [f"crime: {crime_sentence(found)}"]
    head = found.crime.get("headline") or {}
    auc = with_interval(head.get("auc"), head.get("auc_interval"))
    gap = signed(head.get("leakage_gap"), head.get("leakage_gap_interval"))
    return [
        f"crime AUC ({head.get('features')}, whole regions held out): {auc}",
        f"leakage gap (random folds minus whole regions): {gap}",
        f"crime verdict: {crime_sentence(found)}",
    ]


def main(arguments: list[str]) -> None:
    """Print the headline of the run that a settings file describes."""
    settings = Settings.model_validate(yaml.safe_load(Path(arguments[0]).read_text()) or {})
    sys.stdout.write("\n".join(headline(settings.root, settings)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
