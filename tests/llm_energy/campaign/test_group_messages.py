"""Mistakes in a group of experiments: each is one line, and none of another part."""

import pytest
from tests.llm_energy.make_campaigns import (
    changed,
    mistakes,
    with_experiments,
)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"axis": {}}, "experiments.x.axis: unknown key; did you mean axes?"),
        ({"settings": {"batchsize": 2}}, "experiments.x.settings.batchsize: unknown key; did you"),
        ({"settings": {"sampling": {"temp": 1}}}, "settings.sampling.temp: unknown key"),
        (
            {"settings": {"sampling": {"top_p": 0}}},
            "sampling.top_p: must be at least 0.0001",
        ),
        ({"settings": {"batch_size": 0}}, "settings.batch_size: must be at least 1, not 0"),
        (
            {"settings": {"load_mode": "opne"}},
            "must be 'waves', 'closed' or 'open', not \"opne\"; did",
        ),
        ({"settings": {"backend": "boxi"}}, "unknown backend `boxi`; did you mean boxy?"),
        ({"settings": {"prompts": "shot"}}, "unknown prompts `shot`; did you mean short?"),
        ({"settings": {"model": None}, "axes": []}, "axes: must be keys with values, not []"),
        ({"axes": {"batch_size": []}}, "axes.batch_size: must not be empty"),
        ({"axes": {"batch_size": 4}}, "axes.batch_size: must be a list, not 4"),
        ({"axes": {"batch_size": [[1]]}}, "batch_size[0]: must be one number or text"),
        ({"axes": {"batch_size": [1, "4"]}}, 'batch_size[1]: must be a whole number, not "4"'),
        ({"axes": {"batch_size": [4, 4.0]}}, "axes.batch_size: has 4 twice; keep one"),
        (
            {"linked": [{"batch_size": [1, 4, 1], "output_tokens": [16, 48, 16]}]},
            "linked[0]: has 1 with 16 twice; keep one",
        ),
        ({"axes": {"load_mode": ["waves", "wave"]}}, "load_mode[1]: must be 'waves', "),
        ({"axes": {"model": ["small", "tiny"]}}, "axes.model[1]: unknown model `tiny`; known"),
        ({"axes": {"engine": [1]}}, "axes.engine: unknown setting; known: "),
        ({"axes": {"sampling.temprature": [0]}}, "did you mean sampling.temperature?"),
        ({"axes": {"engine.toi.threads": [1]}}, "unknown backend `toi`; did you mean toy?"),
        ({"axes": {"engine.toy.thread": [1]}}, "unknown option of toy; did you mean threads?"),
        ({"axes": {"engine.toy.threads": [0]}}, "threads[0]: must be at least 1, not 0"),
        ({"axes": {"engine.toy.threads": [True]}}, "threads[0]: must be a whole number, not true"),
        ({"axes": {"engine.toy.slots": ["x"]}}, 'slots[0]: must be a whole number, not "x"'),
        ({"axes": {"engine.toy.cache": [1]}}, "cache[0]: must be true or false, not 1"),
        ({"axes": {"engine.toy.layout": [True]}}, "must be text, not true; put it in quotes"),
        ({"axes": {"engine.toy.layout": ["x"]}}, "layout[0]: must be one of rows, columns"),
        ({"settings": {"engine": {"toy": {"gain": "x"}}}}, 'toy.gain: must be a number, not "x"'),
        (
            {"settings": {"batch_size": 4, "engine": {"toy": {"slots": 2}}}},
            "experiments.x.settings.engine.toy.slots: must be at least 4, the batch size",
        ),
        ({"axes": {"batch_size": {"from": 8, "to": 1, "step": 1}}}, "`to` lies below `from`"),
        ({"axes": {"batch_size": {"from": 1, "to": 8}}}, "needs exactly one of the keys step and"),
        ({"axes": {"batch_size": {"from": 0, "to": 8, "factor": 2}}}, "must begin above 0 to grow"),
        ({"axes": {"batch_size": {"from": 1, "to": 8, "faktor": 2}}}, "did you mean factor?"),
        (
            {"axes": {"batch_size": {"from": 1, "to": 1e9, "step": 1}}},
            "axes.batch_size: has over 10000 values; use a larger step",
        ),
        (
            {
                "axes": {
                    "output_tokens": {"from": 1, "to": 9999, "step": 1},
                    "sampling.seed": {"from": 1, "to": 9999, "step": 1},
                }
            },
            "experiments.x: makes more than 10000 experiments; use fewer values",
        ),
        (
            {"linked": [{"batch_size": [1, 2], "output_tokens": [16]}]},
            "linked[0]: needs lists of one length (here batch_size: 2, output_tokens: 1)",
        ),
        (
            {"axes": {"batch_size": [1]}, "linked": [{"batch_size": [2]}]},
            "experiments.x: batch_size varies twice; keep it in one axis",
        ),
        (
            {"axes": {"batch_size": [1]}, "exclude": [{"output_tokens": 16}]},
            "exclude[0].output_tokens: unknown axis of this group; known: batch_size",
        ),
        (
            {"axes": {"batch_size": [1, 4]}, "exclude": [{"batch_size": 1}, {"batch_size": 4}]},
            "experiments.x.exclude: excludes every combination; keep one, or drop the group",
        ),
        (
            {"axes": {"batch_size": [1]}, "include": [{"output_tokens": 16}]},
            "include[0]: needs a value for batch_size",
        ),
        (
            {"axes": {"batch_size": [1]}, "include": [{"batch_size": 3}]},
            "experiments.x.include: 8 prompts are no multiple of batch size 3; change one of them",
        ),
        (
            {"axes": {"batch_size": [1]}, "include": [{"batch_size": 1}]},
            "a second experiment is named x_batch1; rename its group",
        ),
        (
            {"axes": {"engine.boxy.eager": [True, False]}},
            "x_eagerfalse is the same as x_eagertrue; leave one out, with `exclude`",
        ),
        (
            {"settings": {"backend": "boxy", "load_mode": "closed", "model": "large"}},
            "boxy has no load mode `closed`; it has waves",
        ),
        (
            {
                "settings": {
                    "backend": "boxy",
                    "model": "large",
                    "engine": {"boxy": {"graphs": True}},
                }
            },
            "experiments.x.settings.engine.boxy.graphs: needs eager false",
        ),
        ({"settings": {"model": "large"}}, "models.large.source: toy reads gguf, and hf cannot be"),
    ],
)
def test_a_mistake_in_a_group(root, group, message):
    found = mistakes(root, with_experiments(x=group))
    assert len(found) == 1, found
    assert message in found[0]


class TestReference:
    """A mistake in a group is none of the reference, whose name it may change."""

    @pytest.mark.parametrize(
        ("axes", "reference"),
        [
            ({"engine.toy.treads": [1, 4]}, "sweep_threads1"),
            ({"engine.toy.threads": [1, -4]}, "sweep_threads1"),
            ({"batch_size": [1, "x"]}, "sweep_batch1"),
            ({"batch_size": [1, 1]}, "sweep_batch1"),
        ],
    )
    def test_a_bad_axis_does_not_brand_it(self, root, axes, reference):
        def change(config):
            config["experiments"] = {
                "sweep": {"axes": axes},
                "other": {"settings": {"output_tokens": 99}},
            }
            config["reference"] = reference

        found = mistakes(root, changed(change))
        assert found
        assert [text for text in found if "experiments.sweep.axes." not in text] == []

    def test_an_unknown_one_is_reported_beside_a_mistake_in_another_group(self, root):
        def change(config):
            config["experiments"] = {"sweep": {"axes": {"batch_size": [1, "x"]}}, "other": {}}
            config["reference"] = "othr"

        assert any(
            "reference: unknown experiment" in text for text in mistakes(root, changed(change))
        )
