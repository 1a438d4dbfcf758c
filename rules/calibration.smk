"""The sensors read in another way beside ours; requested by name, part of no result."""


rule calibrate_nvidia_smi:
    input:
        inputs_of(CALIBRATED),
    log:
        f"logs/{CAMPAIGN.name}/calibrate_nvidia_smi.log",
    conda:
        "../envs/workflow/environment.yaml"
    threads: SNAKEMAKE.cores
    resources:
        gpu=1,
    params:
        experiment=CALIBRATED.name,
        spec=CALIBRATED.spec_hash,
    message:
        "Reading the GPUs of {params.experiment} with NVML and nvidia-smi at once"
    script:
        "../scripts/calibrate_nvidia_smi.py"
