"""Rule `environment`: make the environment of a backend ready."""

from llm_energy.inputs.environment import prepare_environment
from llm_energy.inputs.job import input_job

with input_job(snakemake) as job:
    backend = job.plan["backend"]
    content = prepare_environment(
        job.plan["identity"],
        backend=backend,
        python=job.plan["python"],
        requirements=job.root / "envs" / backend / "requirements.txt",
        target=job.target,
        log=job.log,
    )
    job.finish(content, f"{content['engine_version']}, Python {content['python_version']}")
