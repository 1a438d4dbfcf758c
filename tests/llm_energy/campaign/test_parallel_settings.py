"""Sets of GPUs that are measured on at once, as a campaign declares them."""

import pytest
from tests.llm_energy.make_campaigns import load, mistakes, with_experiments

GPU = {"device": "gpu"}


@pytest.fixture
def root(own_root):
    """A checkout whose backend `toy` can be built as an image."""
    (own_root / "envs/toy/Dockerfile").write_text("FROM debian@sha256:12\n")
    return own_root


def campaign(parallel, *, measurement=GPU, **backend):
    config = with_experiments(one={"settings": {"batch_size": 2}})
    return config | {
        "backends": {"toy": backend},
        "measurement": measurement,
        "parallel": parallel,
    }


def test_by_default_every_gpu_of_the_host_is_a_set(root):
    parallel = load(root, campaign({})).parallel
    assert (parallel.devices, parallel.devices_per_measurement) == ("all", 1)
    assert load(root, with_experiments(one={})).parallel is None


def test_it_identifies_nothing(root):
    alone = campaign({})
    del alone["parallel"]
    (first,), (second,) = (load(root, c).experiments for c in (alone, campaign({})))
    assert first.spec_hash == second.spec_hash


def test_the_control_of_neighbours_is_measured_alone_and_needs_sets(root):
    controls = {"controls": {"neighbours": True}}
    *_, control = load(root, campaign({}) | controls).experiments
    assert (control.name, control.alone) == ("one.neighbours", True)
    assert control.spec["neighbours"] == "none"
    (found,) = mistakes(root, with_experiments(one={}) | controls)
    assert "controls.neighbours: needs `parallel`" in found
    (found,) = mistakes(root, campaign(None) | controls)
    assert "parallel: must be keys with values, not null" in found


@pytest.mark.parametrize(
    ("parallel", "options", "message"),
    [
        ({}, {"measurement": {}}, "parallel: needs `measurement: {device: gpu}`"),
        (
            {},
            {"runtime": "docker", "container": {"gpus": 1}},
            "backends.toy.container.gpus: `parallel` gives each set its GPUs; leave it out",
        ),
        (
            {},
            {"server": {"tokenizer": "toy", "url": "http://127.0.0.1:8000"}},
            "backends.toy.server: one that runs already cannot be that of each set; launch it, "
            "with `command`",
        ),
        (
            {"devices": ["GPU-a", "MIG-b"]},
            {},
            "parallel.devices[1]: a set may hold no slice of a GPU, whose energy is not known; "
            "give a GPU",
        ),
        (
            {"devices": ["GPU-a", "GPU-a"]},
            {},
            "parallel.devices[1]: GPU-a is in the list already; leave it out",
        ),
        (
            {"devices": ["GPU-a", "GPU-b", "GPU-c"], "devices_per_measurement": 2},
            {},
            "parallel.devices: 3 GPUs make no whole sets of 2: 1 left over; add some, or leave "
            "them out",
        ),
        ({"devices": "some"}, {}, "parallel.devices: must be `all`, or a list of UUIDs"),
        ({"devices": []}, {}, "parallel.devices: must not be empty"),
        (
            {"devices_per_measurement": 0},
            {},
            "parallel.devices_per_measurement: must be at least 1, not 0",
        ),
        ({"gpus": 2}, {}, "parallel.gpus: unknown key"),
        (
            None,
            {},
            "parallel: must be keys with values, not null; `{}` makes each GPU of the host a set",
        ),
        *(
            (
                {"devices": ["GPU-a", wrong]},
                {},
                "parallel.devices[1]: must be the UUID of a GPU, as `nvidia-smi -L` prints it",
            )
            for wrong in (1, "1", "gpu 1", "GPU-", None)
        ),
    ],
)
def test_what_cannot_be_is_one_line_with_its_key(root, parallel, options, message):
    found = mistakes(root, campaign(parallel, **options))
    assert len([line for line in found if message in line]) == 1
