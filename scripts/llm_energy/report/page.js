// Sorting, filtering and pages of tables, and a hint where an element is wider than the screen; without
// scripts the page shows the same numbers.
"use strict";

const valueOf = (row, column) => {
  const text = row.cells[column].dataset.sort;
  if (text === undefined) return null;
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
};

const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

const unpacked = (address) => {
  const packed = Uint8Array.from(atob(address.split(",")[1]), (character) => character.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
};

// A table on the page: all its rows, those that a filter keeps, and the page of them that is shown.
const viewOf = (table) => {
  const body = table.tBodies[0], packed = document.getElementById(`${table.id}-further`);
  const size = body.rows.length || 1;
  const view = { rows: [...body.rows], keeps: () => true, page: 0, kept: 0, met: () => {} };
  const pages = packed?.previousElementSibling;
  let loading = null;
  const load = async () => {
    const further = document.createElement("template");
    further.innerHTML = await unpacked(packed.textContent).text();
    const rows = [...further.content.querySelectorAll("tr")];
    view.rows.push(...rows);
    view.met(rows);
  };
  view.whole = () => (loading ??= packed ? load() : Promise.resolve());
  view.show = () => {
    const kept = view.rows.filter(view.keeps);
    view.kept = kept.length;
    view.page = Math.max(0, Math.min(view.page, Math.ceil(kept.length / size) - 1));
    const begin = view.page * size, end = Math.min(begin + size, kept.length);
    body.replaceChildren(...kept.slice(begin, end));
    if (!pages) return;
    pages.querySelector("output").textContent = kept.length ? `Rows ${begin + 1} to ${end} of ${kept.length}` : "";
    pages.querySelector("[data-step='-1']").disabled = begin === 0;
    pages.querySelector("[data-step='1']").disabled = end === kept.length;
  };
  for (const button of pages?.querySelectorAll("button") ?? []) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await view.whole();
      view.page += Number(button.dataset.step);
      view.show();
    });
  }
  if (pages) pages.querySelector("[data-step='-1']").disabled = true;
  return view;
};

const sortBy = async (view, heading) => {
  const column = heading.cellIndex;
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  await view.whole();
  const rows = view.rows.map((row) => ({ row, value: valueOf(row, column) }));
  rows.sort((a, b) => {
    // Rows without a value stay at the end in both directions.
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
    return ascending ? compare(a.value, b.value) : compare(b.value, a.value);
  });
  view.rows = rows.map(({ row }) => row);
  view.page = 0;
  view.show();
};

const views = new Map([...document.querySelectorAll("table.sortable")].map((table) => [table.id, viewOf(table)]));

for (const [id, view] of views) {
  if (view.rows.length < 2) continue;
  for (const heading of document.getElementById(id).tHead.rows[0].cells) {
    const title = heading.querySelector(".title");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title.textContent;
    button.addEventListener("click", () => sortBy(view, heading));
    title.replaceChildren(button);
  }
}

for (const input of document.querySelectorAll(".filter input[type=search]")) {
  const view = views.get(input.getAttribute("aria-controls"));
  const output = input.closest(".filter").querySelector("output");
  input.closest(".filter").hidden = false;
  input.addEventListener("input", async () => {
    await view.whole();
    // Every word must occur in a row, in any order.
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    view.keeps = (row) => {
      const text = row.textContent.toLowerCase();
      return words.every((word) => text.includes(word));
    };
    view.page = 0;
    view.show();
    output.textContent = words.length ? `${view.kept} of ${view.rows.length} rows` : "";
  });
}

// Compressed files are decompressed before the download.
for (const link of document.querySelectorAll("a[data-type]")) {
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const file = new Blob([await unpacked(link.href).arrayBuffer()], { type: link.dataset.type });
    const way = document.createElement("a");
    way.href = URL.createObjectURL(file);
    way.download = link.download.replace(/\.gz$/, "");
    way.click();
    setTimeout(() => URL.revokeObjectURL(way.href), 60000);
  });
}

// Cut elements get a hint and can be reached with the keyboard; others are no tab stop.
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const cut = target.scrollWidth > target.clientWidth + 1;
    target.previousElementSibling.hidden = !cut;
    if (cut) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

for (const scroller of document.querySelectorAll(".scroll")) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "Wider than the screen: scroll sideways \u2192";
  scroller.before(hint);
  observer.observe(scroller);
}

window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

// The power of each measurement is drawn on demand only, because there may be a thousand.
const drawCourse = (course) => {
  const [width, height, left, bottom, top] = [760, 300, 56, 40, 34];
  const end = course.start + course.step * course.low.length;
  const from = Math.min(course.start, ...course.phases.map((phase) => phase[1]));
  const to = Math.max(end, ...course.phases.map((phase) => phase[2]));
  const most = 1.08 * Math.max(...course.high.filter((value) => value !== null));
  const x = (time) => left + ((time - from) / (to - from)) * (width - left - 10);
  const y = (watts) => height - bottom - (watts / most) * (height - bottom - top);
  const step = (span, parts) => {
    const rough = span / parts, power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  };
  const ticks = (low, high, parts) => {
    const by = step(high - low, parts), found = [];
    for (let tick = Math.ceil(low / by) * by; tick <= high; tick += by) found.push(Number(tick.toFixed(6)));
    return found;
  };
  const text = (px, py, words, rest = "") => `<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" ${rest}>${words}</text>`;
  const parts = course.phases.map(([name, start, stop], number) => {
    const window = name === "window", wide = x(stop) - x(start) > 7 * name.length;
    return `<rect x="${x(start).toFixed(1)}" y="${top}" width="${(x(stop) - x(start)).toFixed(1)}" height="${height - bottom - top}" class="${window ? "window" : number % 2 ? "odd" : "even"}"><title>${name}: ${(stop - start).toFixed(2)} s</title></rect>` +
      (wide ? text((x(start) + x(stop)) / 2, top - 8, name, 'text-anchor="middle" class="phase"') : "");
  });
  for (const tick of ticks(0, most, 5)) parts.push(`<path class="grid" d="M${left} ${y(tick).toFixed(1)}H${width - 10}"/>` + text(left - 8, y(tick) + 4, tick, 'text-anchor="end"'));
  for (const tick of ticks(from, to, 8)) parts.push(text(x(tick), height - bottom + 18, tick, 'text-anchor="middle"'));
  let path = "", pen = "M";
  course.low.forEach((low, number) => {
    if (low === null) return void (pen = "M");
    const px = x(course.start + course.step * (number + 0.5)).toFixed(1);
    path += `${pen}${px} ${y(low).toFixed(1)}L${px} ${y(course.high[number]).toFixed(1)}`;
    pen = "L";
  });
  parts.push(`<path class="line" d="${path}"/>`);
  parts.push(text(left, height - 6, "s from the start of the window"), text(4, 12, "W"));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${parts.join("")}</svg>`;
};

const COURSE_STYLE = "text{font:12px sans-serif;fill:#22252a}.window{fill:#1b62a5;fill-opacity:.14}.odd{fill:#646b75;fill-opacity:.09}.even{fill:none}.grid{stroke:#e0e2e5}.line{fill:none;stroke:#1b62a5;stroke-width:1.2}";
const fileOf = (content, type) => `data:${type};charset=utf-8,${encodeURIComponent(content)}`;

for (const section of document.querySelectorAll(".courses")) {
  let courses = null;
  const select = section.querySelector("select");
  const show = () => {
    const course = courses[Number(select.value)];
    const chart = drawCourse(course);
    section.querySelector(".chart").innerHTML = chart;
    section.querySelector(".what").textContent =
      `${course.experiment}, cycle ${course.cycle}: power of ${course.device} (${course.quantity.replaceAll("_", " ")}), least and greatest value in each ${course.step.toPrecision(2)} s; the window, whose energy counts, is the coloured band.`;
    const name = `power-${course.experiment}-cycle-${course.cycle}`.replace(/[^\w.=-]+/g, "-");
    const lines = course.low.map((low, number) => [(course.start + course.step * (number + 0.5)).toFixed(4), low ?? "", course.high[number] ?? ""].join(","));
    const files = { svg: [chart.replace(">", `><style>${COURSE_STYLE}</style>`), "image/svg+xml"], csv: [["time_s,least_watts,greatest_watts", ...lines].join("\n") + "\n", "text/csv"] };
    for (const [kind, [content, type]] of Object.entries(files)) {
      const link = section.querySelector(`a.${kind}`);
      link.download = `${name}.${kind}`;
      link.href = fileOf(content, type);
    }
  };
  section.hidden = false;
  const load = async () => {
    if (courses) return;
    courses = await unpacked(document.getElementById("power-courses").textContent).json();
    courses.forEach((course, number) => {
      const several = courses.some((other) => other.device !== course.device);
      select.add(new Option(`${course.experiment}, cycle ${course.cycle}${several ? `, ${course.device}` : ""}`, number));
    });
    show();
  };
  section.addEventListener("toggle", () => section.open && load());
  select.addEventListener("change", show);
  // From a measurement, or a point of the trade-off, to its power.
  const leadToPower = (element, experiment, cycle) => {
    element.setAttribute("role", "link");
    element.setAttribute("tabindex", "0");
    element.classList.add("leads");
    const open = async () => {
      await load();
      const number = courses.findIndex((course) => course.experiment === experiment && course.cycle === (cycle ?? course.cycle));
      if (number < 0) return;
      select.value = number;
      show();
      section.open = true;
      section.scrollIntoView();
    };
    element.addEventListener("click", open);
    element.addEventListener("keydown", (event) => event.key === "Enter" && open());
  };
  const measurements = views.get("measurements-table");
  measurements.met = (rows) => {
    for (const { cells: [, name, cycle] } of rows) leadToPower(cycle, name.textContent, Number(cycle.textContent));
  };
  measurements.met(measurements.rows);
  const points = [...document.querySelectorAll("#trade-off svg [data-point]")];
  for (const point of points) {
    const title = document.createElementNS(point.namespaceURI, "title");
    title.textContent = point.dataset.point;
    point.prepend(title);
    leadToPower(point.querySelector("text"), point.dataset.point);
  }
  if (points.length) {
    const hint = document.createElement("span");
    hint.className = "way";
    hint.textContent = "A label names its experiment, and leads to its power in the first cycle. ";
    document.querySelector("#caption-trade-off .files").before(hint);
  }
  for (const button of section.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      select.selectedIndex = (select.selectedIndex + Number(button.dataset.step) + courses.length) % courses.length;
      show();
    });
  }
}

// The best experiment within limits that the reader sets, from the counts of stored requests.
const within = (experiment, limits, share) => limits.every(([latency, limit]) => {
  const bins = experiment.latencies[latency] ?? [];
  const whole = bins.reduce((sum, [, count]) => sum + count, 0);
  const below = bins.reduce((sum, [end, count]) => sum + (end <= limit ? count : 0), 0);
  return whole > 0 && below >= share * whole;
});

for (const form of document.querySelectorAll("#limits")) {
  const output = form.querySelector("output");
  let data = null;
  const answer = async () => {
    data ??= await unpacked(document.getElementById("limit-data").textContent).json();
    const limits = [...form.querySelectorAll("[data-latency]")].filter((input) => input.value !== "").map((input) => [input.dataset.latency, Number(input.value)]);
    const share = Number(form.querySelector("select").value) / 100;
    output.textContent = limits.length === 0 ? "" : data.groups.map((group) => {
      const fit = group.experiments.filter((experiment) => within(experiment, limits, share));
      const terms = data.groups.length > 1 ? ` (${group.terms})` : "";
      const count = `${fit.length} of ${group.experiments.length} experiments keep the limits${terms}`;
      return fit.length ? `${fit[0].label}: ${data.best} in the means, ${fit[0].value}. ${count}.` : `No experiment keeps the limits${terms}.`;
    }).join(" ");
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", answer);
}
