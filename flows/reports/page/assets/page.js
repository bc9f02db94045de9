"use strict";
/* The charts of the report: drawn by uPlot from the JSON in the page, read by mouse, touch and keyboard. */
(() => {
  const DAY_SECONDS = 86400;
  const LONG_STEP_DAYS = 30;
  const ROWS_OF_TABLE = 31;
  const LETTER_PIXELS = 13;
  const MOST_DETAIL = 3000;
  const MOST_POWERS = 9;
  const LEAST_PLAIN = 0.001;
  const STACK_OPACITY = 0.9;
  const BAND_OPACITY = 0.3;
  const given = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const start = Date.parse(`${given.axis.first}T00:00:00Z`) / 1000;
  const count = given.axis.count;
  const times = Array.from({ length: count }, (_, i) => start + i * DAY_SECONDS);
  const drawn = new Map();
  const shown = {};
  for (const [group, begin] of Object.entries(given.begins)) shown[group] = { first: begin, last: count - 1 };

  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const dayOf = (index) => new Date(times[index] * 1000).toISOString().slice(0, 10);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  /* One value a day, null where there is none. */
  const expanded = new Map();
  function values(key) {
    if (expanded.has(key)) return expanded.get(key);
    const column = given.columns[key];
    const found = new Array(count).fill(null);
    if (column.at) {
      column.at.forEach((at, k) => found.fill(column.values[k], at, column.at[k + 1] ?? column.until));
    } else {
      column.values.forEach((value, k) => { found[column.from + k] = value; });
    }
    expanded.set(key, found);
    return found;
  }

  function short(value) {
    const size = Math.abs(value);
    if (size > 0 && size < LEAST_PLAIN) return value.toExponential(2).replace(/\.?0+e/, "e");
    const scaled = [[1e12, " tn"], [1e9, " bn"], [1e6, " M"]].find(([unit]) => size >= unit);
    const [unit, suffix] = scaled ?? [1, ""];
    const digits = { maximumSignificantDigits: size / unit >= 1e4 ? 6 : 4 };
    return (value / unit).toLocaleString("en-US", digits) + suffix;
  }

  function tick(value) {
    return value === null ? "" : short(Number(value.toPrecision(12)));
  }

  /* 1, 2 and 5 of each power of ten, or the powers alone where these are many. */
  function powers(u, axis, low, high) {
    if (!(low > 0)) return [];
    const found = [];
    const least = Math.floor(Math.log10(low));
    const most = Math.ceil(Math.log10(high));
    for (let power = least; power <= most; power += Math.ceil((most - least) / MOST_POWERS)) {
      for (const digit of high / low > MOST_DETAIL ? [1] : [1, 2, 5]) {
        const value = Number(`${digit}e${power}`);
        if (value >= low && value <= high) found.push(value);
      }
    }
    return found;
  }

  /* Dates as ISO writes them, as short as the step between them allows. */
  function dates(u, splits, axis, space, step) {
    const length = step >= 360 * DAY_SECONDS ? 4 : step >= 27 * DAY_SECONDS ? 7 : 10;
    return splits.map((at) => new Date(at * 1000).toISOString().slice(0, length));
  }

  function shade(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [first, last, state] of given.states) {
      const left = u.valToPos(start + first * DAY_SECONDS, "x", true);
      const right = u.valToPos(start + (last + 1) * DAY_SECONDS, "x", true);
      if (right < bbox.left || left > bbox.left + bbox.width) continue;
      ctx.fillStyle = colour(`s-${given.tones[state]}`);
      ctx.fillRect(left, bbox.top, Math.max(right - left, 1), bbox.height);
    }
    ctx.restore();
  }

  /* Words that can be read on top of lines and shades. */
  function halo(ctx, words, x, y) {
    ctx.save();
    ctx.setLineDash([]);
    ctx.lineJoin = "round";
    ctx.lineWidth = 4 * uPlot.pxRatio;
    ctx.strokeStyle = colour("ground");
    ctx.strokeText(words, x, y);
    ctx.fillText(words, x, y);
    ctx.restore();
  }

  function mark(u, chart) {
    const { ctx, bbox } = u;
    const ratio = uPlot.pxRatio;
    const right = bbox.left + bbox.width;
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.lineWidth = ratio;
    ctx.strokeStyle = ctx.fillStyle = colour("dim");
    ctx.textAlign = "left";
    const lines = [];
    if (chart.marks.includes("halvings")) given.halvings.forEach(([at]) => lines.push([at, "H", [2, 4]]));
    if (chart.marks.includes("regimes")) given.regimes.forEach(([at]) => lines.push([at, "R", [6, 3]]));
    let free = -Infinity;
    for (const [at, letter, dash] of lines.sort((one, other) => one[0] - other[0])) {
      const x = u.valToPos(start + at * DAY_SECONDS, "x", true);
      if (x < bbox.left || x > right) continue;
      ctx.setLineDash(dash.map((length) => length * ratio));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (x >= free) halo(ctx, letter, x + 3 * ratio, bbox.top + 11 * ratio);
      free = Math.max(free, x + LETTER_PIXELS * ratio);
    }
    ctx.setLineDash([]);
    if (chart.marks.includes("outages")) {
      free = -Infinity;
      for (const [first, last] of given.outages) {
        const from = Math.max(u.valToPos(start + first * DAY_SECONDS, "x", true), bbox.left);
        const to = Math.min(u.valToPos(start + (last + 1) * DAY_SECONDS, "x", true), right);
        if (to < bbox.left || from > right) continue;
        ctx.fillRect(from, bbox.top + bbox.height - 4 * ratio, Math.max(to - from, 2 * ratio), 4 * ratio);
        if (from >= free) halo(ctx, "O", from, bbox.top + bbox.height - 7 * ratio);
        free = Math.max(free, from + LETTER_PIXELS * ratio);
      }
    }
    const { min, max } = u.scales.y;
    let written = Infinity;
    for (const [value, words] of chart.guides.toSorted((one, other) => one[0] - other[0])) {
      if (value < min || value > max) continue;
      const y = u.valToPos(value, "y", true);
      ctx.setLineDash([4 * ratio, 4 * ratio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(right, y);
      ctx.stroke();
      if (!words || written - y < LETTER_PIXELS * ratio) continue;
      halo(ctx, words, bbox.left + 4 * ratio, y - 4 * ratio);
      written = y;
    }
    ctx.restore();
  }

  /* Values as drawn: those of a stack are sums of all up to theirs. */
  function columnsOf(chart) {
    const columns = chart.lines.map((line) => values(line.key));
    if (chart.lines[0].kind !== "stacked") return columns;
    const sums = [];
    columns.forEach((column, k) => {
      sums.push(column.map((value, i) => {
        const below = k ? sums[k - 1][i] : 0;
        return value === null || below === null ? null : value + below;
      }));
    });
    return sums;
  }

  function seriesOf(line, first) {
    const stroke = () => colour(line.colour);
    const fill = (share) => () => colour(line.colour) + Math.round(share * 255).toString(16).padStart(2, "0");
    const common = { label: line.label, stroke, points: { show: false } };
    const stepped = uPlot.paths.stepped({ align: 1 });
    switch (line.kind) {
      case "step": return { ...common, width: 2, paths: stepped };
      case "thin": return { ...common, width: 1 };
      case "stacked": return { ...common, width: 1, paths: stepped, fill: first ? fill(STACK_OPACITY) : undefined };
      case "low": case "high": return { ...common, width: 1, paths: stepped };
      default: return { ...common, width: 1.75 };
    }
  }

  function bandsOf(chart) {
    const bands = [];
    chart.lines.forEach((line, k) => {
      const share = line.kind === "stacked" && k ? STACK_OPACITY : line.kind === "high" ? BAND_OPACITY : 0;
      const fill = () => colour(line.colour) + Math.round(share * 255).toString(16);
      if (share) bands.push({ series: [k + 1, k], fill });
    });
    return bands;
  }

  /* Limits of the scale by the values that are in sight. */
  function rangeOf(chart, isLog) {
    if (chart.limits) return () => chart.limits;
    if (isLog) return (u, low, high) => (low > 0 ? [low / 1.15, high * 1.15] : [0.1, 1]);
    return (u, low, high) => {
      if (low === null || high === null) return [0, 1];
      const [least, most] = chart.clip ?? [-Infinity, Infinity];
      const from = Math.max(least, chart.zero ? Math.min(0, low) : low);
      const to = Math.min(most, high);
      const room = (to - from || Math.abs(to) || 1) * 0.06;
      return [chart.zero && from === 0 ? 0 : from - room, to + room];
    };
  }

  function draw(figure) {
    const chart = given.charts.find((each) => each.name === figure.dataset.chart);
    const place = figure.querySelector(".plot");
    const before = drawn.get(chart.name);
    if (before) before.plot.destroy();
    const columns = columnsOf(chart);
    if (columns.every((column) => column.every((value) => value === null))) {
      const empty = document.createElement("p");
      empty.className = "empty";
      empty.textContent = "No values in this publication.";
      place.replaceChildren(empty);
      return;
    }
    const isLog = before ? before.isLog : chart.log === true;
    const cells = isLog ? columns.map((column) => column.map((value) => (value > 0 ? value : null))) : columns;
    const axis = { stroke: () => colour("dim"), grid: { stroke: () => colour("rule"), width: 1 }, ticks: { show: false } };
    const plot = new uPlot({
      width: place.clientWidth,
      height: figure.classList.contains("wide") ? 280 : 230,
      padding: [10, 8, 0, 0],
      legend: { show: false },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { x: { time: true }, y: { distr: isLog ? 3 : 1, range: rangeOf(chart, isLog) } },
      axes: [
        { ...axis, values: dates, space: 72, size: 30 },
        {
          ...axis, values: (u, splits) => splits.map(tick), size: 62, space: 34,
          ...(isLog ? { splits: powers, filter: (u, splits) => splits } : {}),
        },
      ],
      series: [{}, ...chart.lines.map((line, k) => seriesOf(line, k === 0))],
      bands: bandsOf(chart),
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        sync: { key: chart.group },
        points: { size: 6 },
        bind: { dblclick: () => () => { show(chart.group, given.begins[chart.group], count - 1); return null; } },
      },
      hooks: {
        drawClear: chart.shaded ? [shade] : [],
        draw: [(u) => mark(u, chart)],
        setCursor: [(u) => legend(figure, chart, u.cursor.idx)],
        setSelect: [(u) => {
          if (u.select.width < 3) return;
          const first = u.posToIdx(u.select.left);
          const last = u.posToIdx(u.select.left + u.select.width);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          show(chart.group, first, last);
        }],
      },
    }, [times, ...cells], place);
    drawn.set(chart.name, { chart, figure, plot, columns, isLog, at: before ? before.at : null });
    const { first, last } = shown[chart.group];
    plot.setScale("x", { min: times[first], max: times[last] });
    legend(figure, chart, null);
  }

  /* Values of a day beside the names of the lines; without one that of the headline, of a conversion the last one. */
  function legend(figure, chart, index) {
    const usual = chart.group === "conversion" ? count - 1 : given.newest;
    chart.lines.forEach((line, k) => {
      const value = values(line.key)[index ?? usual];
      figure.querySelectorAll(".legend .value")[k].textContent = value === null ? "unknown" : short(value);
    });
    const isRead = index !== null && index !== undefined && figure.matches(":hover, :focus-within");
    figure.querySelector(".reading").textContent = isRead ? reading(chart, index) : `Values of ${dayOf(usual)}`;
  }

  function stateOf(index) {
    const found = given.states.find(([first, last]) => first <= index && index <= last);
    return found ? given.stateWords[found[2]] : "";
  }

  function reading(chart, index) {
    const parts = chart.lines.map((line) => {
      const value = values(line.key)[index];
      return `${line.label} ${value === null ? "unknown" : short(value)}`;
    });
    const outage = chart.marks.includes("outages") ? given.outages.find(([a, b]) => a <= index && index <= b) : null;
    const regime = chart.marks.includes("regimes") ? given.regimes.find(([at]) => at === index) : null;
    const halving = chart.marks.includes("halvings") ? given.halvings.find(([at]) => at === index) : null;
    const extra = [chart.shaded ? stateOf(index) : "", outage?.[2], regime?.[1], halving?.[1]].filter(Boolean);
    return `${dayOf(index)}: ${[...parts, ...extra].join("; ")}`;
  }

  function show(group, first, last) {
    const from = clamp(Math.min(first, last), 0, count - 2);
    const to = clamp(Math.max(first, last), from + 1, count - 1);
    shown[group] = { first: from, last: to };
    for (const { chart, plot } of drawn.values()) {
      if (chart.group === group) plot.setScale("x", { min: times[from], max: times[to] });
    }
    press(group);
  }

  function press(group) {
    const { first, last } = shown[group];
    for (const button of document.querySelectorAll(`[data-group="${group}"] .range button`)) {
      const wanted = begin(group, button.dataset.days);
      button.setAttribute("aria-pressed", String(last === count - 1 && first === wanted));
    }
  }

  function begin(group, days) {
    if (days === "0") return given.begins[group];
    if (days === "halving") return given.halvings.length ? given.halvings.at(-1)[0] : 0;
    return clamp(count - Number(days), 0, count - 2);
  }

  /* The same day in every chart of the group. */
  function move(entry, index) {
    const { group } = entry.chart;
    const { first, last } = shown[group];
    entry.at = clamp(index, first, last);
    for (const { plot, chart } of drawn.values()) {
      if (chart.group === group) plot.setCursor({ left: plot.valToPos(times[entry.at], "x"), top: 20 });
    }
  }

  function press_key(entry, event) {
    const { chart } = entry;
    const { first, last } = shown[chart.group];
    const at = entry.at === null ? last : clamp(entry.at, first, last);
    const step = event.shiftKey ? LONG_STEP_DAYS : 1;
    // A new scale holds from the end of this task on.
    const moveLater = () => queueMicrotask(() => move(entry, at));
    const zoom = (share) => {
      const half = Math.max(7, Math.round(((last - first) * share) / 2));
      show(chart.group, Math.max(given.begins[chart.group], at - half), Math.min(count - 1, at + half));
      moveLater();
    };
    const actions = {
      ArrowLeft: () => move(entry, at - step),
      ArrowRight: () => move(entry, at + step),
      Home: () => move(entry, first),
      End: () => move(entry, last),
      "+": () => zoom(0.5),
      "=": () => zoom(0.5),
      "-": () => zoom(2),
      0: () => { show(chart.group, given.begins[chart.group], count - 1); moveLater(); },
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  /* A cell of CSV: text in quotes, and never the begin of a formula. */
  function quoted(text) {
    const harmless = /^[=+\-@]/.test(text) ? `'${text}` : text;
    return `"${harmless.replaceAll('"', '""')}"`;
  }

  function rowsOf(chart, first, last) {
    const columns = chart.lines.map((line) => values(line.key));
    const rows = [];
    for (let i = first; i <= last; i += 1) {
      const cells = columns.map((column) => column[i]);
      if (cells.some((cell) => cell !== null)) rows.push([dayOf(i), ...cells]);
    }
    return rows;
  }

  function download(chart) {
    const head = ["day", ...chart.lines.map((line) => quoted(line.column))].join(",");
    const rows = rowsOf(chart, 0, count - 1).map((row) => row.map((cell) => cell ?? "").join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([[head, ...rows, ""].join("\n")], { type: "text/csv" }));
    link.download = `hashpivot-${chart.name}-${given.version}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function tabulate(chart, place) {
    const { first, last } = shown[chart.group];
    const table = document.createElement("table");
    const caption = table.createCaption();
    const rows = rowsOf(chart, first, last).slice(-ROWS_OF_TABLE);
    caption.textContent = `The last ${rows.length} days in sight with a value, in ${chart.unit}; the CSV has all days`;
    const head = table.createTHead().insertRow();
    for (const name of ["Day", ...chart.lines.map((line) => line.label)]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows.reverse()) {
      const line = body.insertRow();
      row.forEach((value, k) => {
        const cell = document.createElement(k ? "td" : "th");
        if (!k) cell.scope = "row";
        cell.textContent = value ?? "";
        line.append(cell);
      });
    }
    place.replaceChildren(table);
  }

  function wire(figure) {
    const entry = () => drawn.get(figure.dataset.chart);
    const chart = given.charts.find((each) => each.name === figure.dataset.chart);
    const plot = figure.querySelector(".plot");
    plot.addEventListener("keydown", (event) => entry() && press_key(entry(), event));
    plot.addEventListener("blur", () => {
      for (const each of drawn.values()) {
        if (each.chart.group === chart.group) each.plot.setCursor({ left: -10, top: -10 });
      }
    });
    figure.querySelector(".csv").addEventListener("click", () => download(chart));
    const rows = figure.querySelector(".rows");
    rows.addEventListener("toggle", () => rows.open && tabulate(chart, rows.querySelector(".scroll")));
    const log = figure.querySelector(".log");
    log?.addEventListener("click", () => {
      if (!entry()) return;
      entry().isLog = !entry().isLog;
      log.setAttribute("aria-pressed", String(entry().isLog));
      draw(figure);
    });
  }

  /* Definitions: shown while a figure's mark is pointed at or has the focus, and kept where it is pressed. */
  function explain(button) {
    const about = document.getElementById(button.getAttribute("popovertarget"));
    if (!about?.showPopover) return;
    let pinned = false;
    let leaving;
    const open = () => {
      clearTimeout(leaving);
      if (about.matches(":popover-open")) return;
      about.showPopover();
      const box = button.getBoundingClientRect();
      const width = about.offsetWidth;
      const isAbove = box.bottom + about.offsetHeight + 8 > innerHeight && box.top > about.offsetHeight + 8;
      about.style.position = "fixed";
      about.style.inset = "auto";
      about.style.left = `${clamp(box.left, 8, Math.max(8, innerWidth - width - 8))}px`;
      about.style.top = `${isAbove ? box.top - about.offsetHeight - 6 : box.bottom + 6}px`;
    };
    const close = () => {
      clearTimeout(leaving);
      leaving = setTimeout(() => { if (!pinned && about.matches(":popover-open")) about.hidePopover(); }, 200);
    };
    button.addEventListener("pointerenter", open);
    button.addEventListener("pointerleave", close);
    button.addEventListener("focus", () => { if (button.matches(":focus-visible")) open(); });
    button.addEventListener("blur", (event) => { if (!about.contains(event.relatedTarget)) close(); });
    button.addEventListener("click", (event) => {
      event.preventDefault();
      pinned = true;
      open();
    });
    about.addEventListener("pointerenter", () => { clearTimeout(leaving); });
    about.addEventListener("pointerleave", close);
    about.addEventListener("toggle", (event) => { if (event.newState === "closed") pinned = false; });
  }

  const figures = [...document.querySelectorAll("figure.chart")];
  const redraw = () => figures.forEach((figure) => draw(figure));

  function themes() {
    const button = document.getElementById("theme");
    const names = ["system", "light", "dark"];
    let at = 0;
    button.hidden = false;
    button.addEventListener("click", () => {
      at = (at + 1) % names.length;
      button.textContent = `Theme: ${names[at]}`;
      if (at) root.dataset.theme = names[at];
      else delete root.dataset.theme;
      redraw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  function printing() {
    let before;
    addEventListener("beforeprint", () => {
      before = root.dataset.theme;
      root.dataset.theme = "light";
      figures.forEach((figure) => { figure.querySelector(".plot").style.width = "680px"; });
      redraw();
    });
    addEventListener("afterprint", () => {
      if (before) root.dataset.theme = before;
      else delete root.dataset.theme;
      figures.forEach((figure) => { figure.querySelector(".plot").style.width = ""; });
      redraw();
    });
  }

  figures.forEach(wire);
  redraw();
  document.querySelectorAll(".info").forEach(explain);
  for (const bar of document.querySelectorAll(".range")) {
    const { group } = bar.closest("section").dataset;
    bar.hidden = false;
    for (const button of bar.querySelectorAll("button")) {
      button.addEventListener("click", () => show(group, begin(group, button.dataset.days), count - 1));
    }
  }
  themes();
  printing();
  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; redraw(); } }, 120);
  });
  root.dataset.ready = "true";
})();
