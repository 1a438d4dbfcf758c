"""Effects that are planted in randomised blocks are found; without any, none is, at the level."""

import random

import numpy as np
import pytest

from llm_energy.stats.block_effects import (
    MOST_PREDECESSORS,
    Observation,
    predecessor_effects,
    slope_effect,
)

NAMES = ("a", "b", "c", "d", "e")
LEVEL = {name: 10.0 * 2.0**number for number, name in enumerate(NAMES)}
DEVIATION = 0.01


def campaign(chance, cycles, *, position=0.0, after=None, effect=0.0, deviation=DEVIATION):
    """Observations in randomised blocks that drift, with place in the block and predecessor.

    Args:
        position: log change from the first to the last place.
        after: experiment after which every value changes by `effect`, as a logarithm.
    """
    found, places, before = [], [], []
    previous = "start"
    for cycle in range(cycles):
        order = list(NAMES)
        chance.shuffle(order)
        for place, name in enumerate(order):
            log = np.log(LEVEL[name]) + 0.05 * cycle + position * place / (len(NAMES) - 1)
            log += effect * (previous == after) + chance.gauss(0.0, deviation)
            found.append(Observation(name, cycle, float(np.exp(log))))
            places.append(place)
            before.append(previous)
            previous = name
    return found[1:], places[1:], before[1:]


def test_an_effect_of_position_is_estimated_beside_levels_and_blocks():
    found, places, _ = campaign(random.Random(1), 4, position=np.log(1.04), deviation=1e-9)
    effect = slope_effect(found, places)
    assert effect.change == pytest.approx(0.04, rel=1e-4)
    assert effect.seen
    assert effect.observations == 19


def test_an_effect_of_a_predecessor_is_estimated_against_the_mean_of_all():
    found, _, before = campaign(random.Random(1), 6, after="c", effect=0.05, deviation=1e-9)
    effects = predecessor_effects(found, before)
    assert set(effects) == set(NAMES)
    assert np.log1p(effects["c"].change) == pytest.approx(0.04, rel=1e-4)
    assert np.log1p(effects["a"].change) == pytest.approx(-0.01, rel=1e-4)


def share(count, tried):
    return sum(map(tried, range(count))) / count


def test_without_any_effect_none_is_seen_at_the_nominal_rate():
    def by_position(seed):
        found, places, _ = campaign(random.Random(seed), 4)
        return slope_effect(found, places).seen

    def by_predecessor(seed):
        found, _, before = campaign(random.Random(seed), 5)
        return any(effect.seen for effect in predecessor_effects(found, before).values())

    assert share(600, by_position) == pytest.approx(0.05, abs=0.025)
    assert 0.005 < share(600, by_predecessor) < 0.075


def test_a_planted_effect_of_the_stated_size_is_found():
    def by_position(seed):
        found, places, _ = campaign(random.Random(seed), 5, position=0.028)
        return slope_effect(found, places).seen

    def by_predecessor(seed):
        found, _, before = campaign(random.Random(seed), 8, after="b", effect=0.03)
        return predecessor_effects(found, before)["b"].seen

    assert share(200, by_position) > 0.9
    assert share(200, by_predecessor) > 0.9


def test_the_detectable_size_is_found_in_about_95_of_100():
    chance = random.Random(7)
    plain = [campaign(chance, 5) for _ in range(100)]
    size = float(np.median([slope_effect(found, places).detectable for found, places, _ in plain]))

    def seen(seed):
        found, places, _ = campaign(random.Random(seed), 5, position=np.log1p(size))
        return slope_effect(found, places).seen

    assert 0.9 < share(300, seen) <= 1.0


def test_where_a_covariate_begins_does_not_matter():
    found, places, _ = campaign(random.Random(1), 4, position=0.04)
    shifted = [10.0 + place / 4.0 for place in places]
    effect, same = slope_effect(found, places), slope_effect(found, shifted)
    assert (effect.change, effect.high) == pytest.approx((same.change, same.high))


def test_the_detectable_size_is_both_quantiles_together():
    """19 measurements less 5 experiments, 3 further blocks and the effect leave 10 degrees."""
    found, places, _ = campaign(random.Random(1), 4)
    effect = slope_effect(found, places)
    half_width = np.log1p(effect.high) - np.log1p(effect.change)
    expected = half_width * (1.0 + 1.812461 / 2.228139)  # t(10) at 0.95 over that at 0.975
    assert np.log1p(effect.detectable) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("blocks", "known"), [(4, False), (5, True)])
def test_three_degrees_of_freedom_are_the_fewest(blocks, known):
    """Two experiments, b - 1 further blocks and the effect leave b - 2 of 2 b measurements."""
    chance, found, places = random.Random(1), [], []
    for block in range(blocks):
        for name, place in (("a", block % 2), ("b", 1 - block % 2)):
            found.append(Observation(name, block, chance.uniform(9.0, 11.0)))
            places.append(place)
    assert (slope_effect(found, places) is not None) == known


def test_two_predecessors_have_opposite_effects():
    found, _, _ = campaign(random.Random(1), 6, deviation=1e-9)
    names = ["x" if random.Random(n).random() < 0.5 else "y" for n in range(len(found))]
    changed = [
        Observation(o.level, o.block, o.value * (1.02 if name == "x" else 1.0))
        for o, name in zip(found, names, strict=True)
    ]
    effects = predecessor_effects(changed, names)
    assert effects["x"].change == pytest.approx(1.02**0.5 - 1.0, rel=1e-4)
    assert effects["y"].change == pytest.approx(1.02**-0.5 - 1.0, rel=1e-4)


def test_a_predecessor_of_one_experiment_alone_cannot_be_distinguished():
    """`b` runs after `a`, always and alone: its own level is the effect."""
    chance, found, before = random.Random(1), [], []
    previous = "start"
    for cycle in range(8):
        order = ["ab", "c", "d", "e"]
        chance.shuffle(order)
        for name in "".join(order):
            found.append(Observation(name, cycle, LEVEL[name] * chance.uniform(0.99, 1.01)))
            before.append(previous)
            previous = name
    assert predecessor_effects(found[1:], before[1:]) == {}


def in_one_order(cycles):
    """Every block in the same order."""
    found, places, before = [], [], []
    for cycle in range(cycles):
        for place, name in enumerate(NAMES):
            found.append(Observation(name, cycle, LEVEL[name] * (1.0 + 0.001 * (place % 2))))
            places.append(place)
            before.append(NAMES[place - 1])
    return found, places, before


def test_in_blocks_of_one_order_no_effect_can_be_distinguished_from_the_experiments():
    found, places, before = in_one_order(6)
    assert slope_effect(found, places) is None
    assert predecessor_effects(found, before) == {}


def test_too_few_measurements_have_no_effect():
    found, places, before = campaign(random.Random(1), 1)
    assert slope_effect(found, places) is None
    assert predecessor_effects(found, before) == {}
    assert slope_effect([], []) is None
    assert predecessor_effects([], []) == {}


def test_one_predecessor_alone_has_no_effect():
    found, _, before = campaign(random.Random(1), 4)
    assert predecessor_effects(found, ["a"] * len(before)) == {}


@pytest.mark.parametrize(("more", "known"), [(0, MOST_PREDECESSORS), (1, 0)])
def test_only_so_many_predecessors_are_distinguished(more, known):
    chance, names = random.Random(1), [f"e{n}" for n in range(MOST_PREDECESSORS + more)]
    before = names * 3
    found = [
        Observation(f"of {chance.randrange(10)}", n // len(names), chance.uniform(9.0, 11.0))
        for n in range(len(before))
    ]
    assert len(predecessor_effects(found, before)) == known
