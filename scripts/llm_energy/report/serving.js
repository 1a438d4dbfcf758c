// The cheapest configuration at a rate under objectives that the reader sets: every stored request
// is judged again, and a request that did not end whole is not good.
const undecidedText = (cycles) => {
  const count = cycles.filter((cycle) => cycle.undecided).length;
  return count ? `saturation undecided in ${count} of ${cycles.length} cycles` : "";
};

const judgedAgain = (configuration, limits) => {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const cycles = configuration.cycles.map(({ arrivals, joules, saturated, undecided, latencies, cycle }) => {
    const good = latencies.end_to_end.filter((_, place) => limits.every(([name, limit]) => latencies[name][place] <= limit)).length;
    return { cycle, saturated, undecided, share: arrivals ? good / arrivals : 0, cost: joules !== null && good ? joules / good : null };
  });
  const priced = cycles.every(({ cost }) => cost !== null);
  return {
    label: configuration.label,
    scope: configuration.scope,
    cycles,
    saturated: cycles.some((cycle) => cycle.saturated),
    doubt: undecidedText(cycles),
    share: mean(cycles.map((cycle) => cycle.share)),
    cost: priced ? mean(cycles.map(({ cost }) => cost)) : null,
  };
};

const shortNumber = (value) => String(Number(value.toPrecision(3)));

for (const form of document.querySelectorAll("#serving-limits")) {
  const [output, list, rates] = ["output", "ul", "[data-rate]"].map((name) => form.querySelector(name));
  const share = form.querySelector("[data-share]"), inputs = [...form.querySelectorAll("[data-latency]")];
  const answer = (data) => {
    const { rate, configurations } = data.rates[rates.selectedIndex];
    const limits = inputs.filter((input) => input.value !== "").map((input) => [input.dataset.latency, Number(input.value)]);
    const found = configurations.map((configuration) => judgedAgain(configuration, limits));
    const keeps = (one) => !one.saturated && 100 * one.share >= Number(share.value) - 1e-9;
    const costOf = (one) => one.cost ?? Infinity;
    found.sort((a, b) => keeps(b) - keeps(a) || (costOf(a) === costOf(b) ? b.share - a.share : costOf(a) - costOf(b)));
    const fit = found.filter(keeps), [best, next] = fit;
    const count = `${fit.length} of ${found.length} configurations keep the objectives at ${rate} requests/s.`;
    let text = fit.length ? `Without an energy of one scope for each of them, none is the cheapest. ${count}` : `No configuration keeps the objectives at ${rate} requests/s.`;
    if (best && fit.every((one) => one.cost !== null && one.scope === best.scope)) {
      text = `${best.label}: ${shortNumber(best.cost)} J per good request, the least in the means${best.doubt && `, ${best.doubt}`}. ${count}`;
      const pairs = next ? best.cycles.flatMap((own) => next.cycles.filter((other) => other.cycle === own.cycle).map((other) => own.cost < other.cost)) : [];
      if (pairs.length) text += ` It is below ${next.label} in ${pairs.filter(Boolean).length} of ${pairs.length} cycles.`;
    }
    if (found.length === 1) text = `Only one configuration was measured at ${rate} requests/s: there is nothing to compare it with. It ${fit.length ? "keeps" : "does not keep"} the objectives.`;
    output.textContent = text;
    list.replaceChildren(...found.map((one) => {
      const item = document.createElement("li"), costs = one.cycles.map(({ cost }) => cost);
      const range = costs.length > 1 ? ` (${shortNumber(Math.min(...costs))} to ${shortNumber(Math.max(...costs))} over ${costs.length} cycles)` : "";
      const price = one.saturated ? "saturated" : one.cost === null ? "" : `${shortNumber(one.cost)} J per good request${range}`;
      item.textContent = [`${one.label}: ${shortNumber(100 * one.share)} % good`, price, one.doubt, keeps(one) ? "" : "not kept"].filter(Boolean).join(", ");
      return item;
    }));
  };
  unpacked(document.getElementById("serving-data").textContent).json().then((data) => {
    for (const { rate } of data.rates) rates.add(new Option(rate));
    for (const input of inputs) input.value = data.objectives[input.dataset.latency] ?? "";
    share.value = data.objectives.share ?? share.value;
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => answer(data));
    answer(data);
  });
}
