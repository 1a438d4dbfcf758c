"""Comparisons along the axes of a campaign: one axis differs, all else is equal."""

from tests.llm_energy.make_campaigns import BASE, load, mistakes, with_experiments


def pairs(root, config):
    return [
        (c.factor, c.base_level, c.level, c.base, c.experiment)
        for c in load(root, config).contrasts
    ]


def test_each_axis_is_compared_at_every_level_of_the_others(root):
    assert pairs(root, BASE) == [
        ("batch_size", "1", "4", "sweep_batch1_out16", "sweep_batch4_out16"),
        ("batch_size", "1", "4", "sweep_batch1_out48", "sweep_batch4_out48"),
        ("output_tokens", "16", "48", "sweep_batch1_out16", "sweep_batch1_out48"),
        ("output_tokens", "16", "48", "sweep_batch4_out16", "sweep_batch4_out48"),
    ]


def test_the_level_of_the_reference_is_the_base_of_its_group(root):
    found = pairs(root, BASE | {"reference": "sweep_batch4_out16"})
    assert {(factor, base) for factor, base, *_ in found} == {
        ("batch_size", "4"),
        ("output_tokens", "16"),
    }


def test_factors_of_interest_choose_the_axes(root):
    chosen = BASE | {"comparisons": {"factors": ["output_tokens"]}}
    assert {factor for factor, *_ in pairs(root, chosen)} == {"output_tokens"}
    assert pairs(root, BASE | {"comparisons": {"factors": []}}) == []


def test_linked_settings_are_one_axis(root):
    linked = [{"batch_size": [1, 2], "engine.toy.threads": [1, 4]}]
    found = pairs(root, with_experiments(x={"linked": linked, "axes": {"output_tokens": [8]}}))
    assert [entry[:3] for entry in found] == [("batch_size + engine.toy.threads", "1, 1", "2, 4")]


def test_a_left_out_combination_has_no_contrast(root):
    group = BASE["experiments"]["sweep"] | {"exclude": [{"batch_size": 1, "output_tokens": 48}]}
    found = pairs(root, with_experiments(sweep=group))
    assert [entry[3:] for entry in found] == [
        ("sweep_batch1_out16", "sweep_batch4_out16"),
        ("sweep_batch4_out16", "sweep_batch4_out48"),
    ]


def test_groups_are_compared_through_the_reference_only(root):
    groups = {"x": {"settings": {"batch_size": 2}}, "y": {"settings": {"batch_size": 4}}}
    assert pairs(root, with_experiments(**groups)) == []


def test_a_factor_that_varies_nowhere_is_a_mistake(root):
    (found,) = mistakes(root, BASE | {"comparisons": {"factors": ["dtype"]}})
    assert found == "comparisons.factors[0]: unknown axis; known: batch_size, output_tokens"
    single = with_experiments(x={"settings": {"batch_size": 2}})
    (found,) = mistakes(root, single | {"comparisons": {"factors": ["dtype"]}})
    assert found == "comparisons.factors[0]: varies nowhere; remove it"


def test_a_misspelt_factor_is_reported_once(root):
    (found,) = mistakes(root, BASE | {"comparisons": {"factors": ["batch_sise"]}})
    assert "did you mean batch_size?" in found


def test_the_design_holds_plain_values_only(root):
    design = load(root, BASE).design
    assert design["contrasts"][0]["experiment"] == "sweep_batch4_out16"
    assert design["equivalence_margin"] == 0.02
    assert design["assumptions"]["electricity"] is None
