# One self-contained page.


rule write_report:
    input:
        rules.check_scenes.output.catalogue,
        expand(rules.score_run.output.metrics, run=RUNS) if PLAN.labelled else [],
        [R / "pretrain" / stage / "log.json" for stage in PLAN.pretrained],
        study_boxes(),
        metrics=rules.judge_crime.output.metrics if PLAN.judged else [],
        drivers=rules.find_drivers.output.drivers if PLAN.judged else [],
    output:
        html=report(
            R / "report/index.html",
            caption="../report/report.rst",
            category="Report",
        ),
        figures=directory(R / "report/figures"),
    log:
        R / "logs/write_report.log",
    benchmark:
        R / "benchmarks/write_report.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(30),
    params:
        settings=SETTINGS.model_dump(mode="json"),
        code=[code("urbanssl.report.page"), folder_digest("report/templates")],
    script:
        "../scripts/write_report.py"
