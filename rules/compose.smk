"""The campaign's backends as a Compose file, for tools of the user's own."""


rule compose:
    input:
        [
            ancient(environment_marker(id_))
            for id_, recipe in INPUTS.environments.items()
            if recipe.in_image
        ],
    log:
        f"logs/{CAMPAIGN.name}/compose.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        results=RESULTS,
    message:
        "Writing the Compose file of the campaign's backends"
    script:
        "../scripts/compose.py"
