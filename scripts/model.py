"""Rule `model`: have a model's weights on this machine."""

from pydantic import TypeAdapter

from llm_energy.campaign.declared_inputs import DeclaredSource
from llm_energy.inputs.input_job import input_job
from llm_energy.inputs.models import megabytes, prepare_model

with input_job(snakemake) as job:
    source = TypeAdapter(DeclaredSource).validate_python(job.plan["source"])
    content = prepare_model(source, job.plan["identity"], target=job.target, log=job.log)
    job.finish(content, f"{megabytes(content):.0f} MB as {content['format']}")
