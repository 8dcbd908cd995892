# The front door: settings, the stages, and what can be asked for.
#
#   snakemake --cores 2                                    everything, to the report
#   snakemake --cores 2 --configfile config/real.yaml      the same on other settings
#   snakemake --cores 2 tiles | pretrain | detect | predict | score | features | crime
#   snakemake --profile slurm                              the same on a cluster


from snakemake.utils import min_version

min_version("9.0")


if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


# What jobs run in with `--software-deployment-method apptainer`: see docs/cluster.md.
container: "urbanssl.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/scenes.smk"
include: "workflow/rules/tiles.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/detect.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/crime.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    scenes,
    tiles,
    pretrain,
    detect,
    predict,
    score,
    features,
    crime,


rule all:
    default_target: True
    input:
        rules.write_report.output.html,


rule scenes:
    input:
        rules.check_scenes.output.catalogue,


rule tiles:
    input:
        rules.check_scenes.output.catalogue,
        tile_files(SCENES),
        rules.assemble_coco.output.train if PLAN.labelled else [],


rule pretrain:
    input:
        [weights_of(stage) for stage in PLAN.pretrained],


rule detect:
    input:
        expand(rules.train_detector.output.weights, run=RUNS),


rule predict:
    input:
        study_boxes(),


rule score:
    input:
        expand(rules.score_run.output.metrics, run=RUNS),


rule features:
    input:
        judged(expand(rules.pool_features.output.table, name=SETTINGS.features.sets)),


rule crime:
    input:
        judged(rules.judge_crime.output.metrics),
