// Plots of the recent steps, and the values at the pointer, the finger or the arrow keys.

const SVG = "http://www.w3.org/2000/svg";
// From the bottom up: the place in a step, the name of its colour, and what it counts.
const LAYERS = [[0, "ok", "allowed"], [3, "shadow", "allowed by shadow mode"], [2, "over", "refused"]];
let pointedAt = null;

const total = step => step[0] + step[2] + step[3];
// The plots grow to 15 minutes with the history, so that a young server does not show a sliver.
const span = () => {
  const longest = Math.max(1, ...overview.domains.map(domain => domain.steps.length));
  const spans = [15, 5, 3, 1].map(part => Math.ceil(overview.max_steps / part));
  return spans.find(steps => steps >= longest) || overview.max_steps;
};
const ago = steps => {
  const secs = steps * overview.step_secs;
  return secs < 60 ? `${Math.round(secs)} s ago` : `${Math.round(secs / 60)} min ago`;
};
// The next of 1, 2, 5, 10, 20, 50 …
const roundUp = value => {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map(factor => factor * power).find(round => round >= value * .999);
};
const axisText = value => value >= 1e3 ? compact.format(value) : String(Number(value.toPrecision(2)));

const area = (kind, below, above, lead, scale) => {
  const y = height => (100 - scale * height).toFixed(2);
  let there = `M${lead} ${y(above[0])}`, back = "";
  above.forEach((height, at) => {
    there += `V${y(height)}H${lead + at + 1}`;
    back = `V${y(below[at])}H${lead + at}${back}`;
  });
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("class", kind);
  path.setAttribute("d", `${there}${back}z`);
  return path;
};

const layers = (steps, lead, top) => {
  let below = steps.map(() => 0);
  return LAYERS.flatMap(([of, kind]) => {
    const under = below, above = steps.map((step, at) => under[at] + step[of]);
    below = above;
    return steps.some(step => step[of]) ? [area(kind, under, above, lead, 100 / top)] : [];
  });
};

// `name` says what is counted; `update` draws other steps. A small plot has only its peak beside it.
const newPlot = (name, isSmall) => {
  const root = make("div", isSmall ? "plot small" : "plot"), drawn = make("div", "area");
  const svg = document.createElementNS(SVG, "svg"), cursor = make("div", "cursor"), none = make("p", "none"), noneText = make("span");
  const y = make("div", "y", make("span"), make("span"), make("span", "", "0"));
  const x = make("div", "x", make("span"), make("span", "", "now")), peak = make("span", "peak");
  let steps = [], width = 1, at = null;
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  cursor.hidden = true;
  drawn.append(svg, cursor);
  none.append(noneText);
  if (!isSmall) drawn.append(none);
  root.append(...isSmall ? [drawn, peak] : [y, drawn, x]);
  root.tabIndex = isSmall ? -1 : 0;
  root.setAttribute("role", "slider");
  root.setAttribute("aria-valuemin", "0");

  const stepAt = place => steps[place - (width - steps.length)] || [0, 0, 0, 0];
  const read = place => {
    const step = stepAt(place), from = time(overview.now_micros - (width - place) * overview.step_secs * 1e6);
    const values = LAYERS.filter(([of, kind]) => kind !== "shadow" || step[of])
      .map(([of, kind, words]) => ({ kind, text: `${rate(step[of] / overview.step_secs)} ${words}` }));
    return { from, values, text: `${from}: ${values.map(value => value.text).join(", ")} per second` };
  };
  const describe = () => {
    const place = at ?? width - 1;
    root.setAttribute("aria-valuemax", width - 1);
    root.setAttribute("aria-valuenow", place);
    root.setAttribute("aria-valuetext", read(place).text);
  };
  const show = place => {
    if (pointedAt && pointedAt !== plot) pointedAt.hide();
    pointedAt = plot;
    at = Math.min(width - 1, Math.max(0, place));
    const bounds = drawn.getBoundingClientRect(), middle = (at + .5) / width;
    cursor.hidden = false;
    cursor.style.left = `${100 * middle}%`;
    const { from, values } = read(at);
    $("tip").replaceChildren(make("div", "dim", `${from}, per second`), ...values.map(({ kind, text }) => make("p", `c-${kind}`, text)));
    $("tip").hidden = false;
    const { width: wide, height: high } = $("tip").getBoundingClientRect();
    const left = bounds.left + middle * bounds.width;
    $("tip").style.left = `${Math.max(4, left + 12 + wide < innerWidth ? left + 12 : left - 12 - wide)}px`;
    $("tip").style.top = `${bounds.top > high + 8 ? bounds.top - high - 6 : bounds.bottom + 6}px`;
    describe();
  };
  const hide = () => {
    if (pointedAt === plot) pointedAt = null;
    at = null;
    cursor.hidden = true;
    $("tip").hidden = true;
    describe();
  };
  const point = event => {
    const bounds = drawn.getBoundingClientRect();
    show(Math.floor((event.clientX - bounds.left) / bounds.width * width));
  };
  drawn.addEventListener("pointerdown", point);
  drawn.addEventListener("pointermove", point);
  drawn.addEventListener("pointerleave", event => event.pointerType === "mouse" && hide());
  root.addEventListener("blur", hide);
  root.addEventListener("keydown", event => {
    const from = at ?? width;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from - 12, PageDown: from + 12, Home: 0, End: width - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      show(to);
    } else if (event.key === "Escape") hide();
  });

  const update = (newest, emptyText) => {
    width = span();
    steps = newest.slice(-width);
    const most = Math.max(0, ...steps.map(total)) / overview.step_secs, top = isSmall ? most : roundUp(most || 1);
    svg.setAttribute("viewBox", `0 0 ${width} 100`);
    svg.replaceChildren(...most ? layers(steps, width - steps.length, top * overview.step_secs) : []);
    root.setAttribute("aria-label", `${name}, the last ${ago(width).replace(" ago", "")}, at most ${rate(most)} per second`);
    setText(y.children[0], axisText(top));
    setText(y.children[1], axisText(top / 2));
    setText(x.children[0], ago(width));
    setText(peak, most ? `max ${rate(most)}` : "");
    setText(noneText, most ? "" : emptyText || "");
    if (at === null) describe(); else show(at);
  };
  const plot = { root, update, hide };
  return plot;
};

// A tap beside a plot takes the value away.
document.addEventListener("pointerdown", event => {
  if (pointedAt && !pointedAt.root.contains(event.target)) pointedAt.hide();
});
document.addEventListener("scroll", () => pointedAt && pointedAt.hide(), { passive: true });
// One plot of a table is reached with Tab; up and down lead to the others.
const moveBetween = (table, event) => {
  const plots = [...table.querySelectorAll(".plot")], at = plots.indexOf(event.target);
  const to = at < 0 ? undefined : { ArrowUp: plots[at - 1], ArrowDown: plots[at + 1] }[event.key];
  if (to) {
    event.preventDefault();
    to.focus();
  }
};
const keepOneReachable = table => {
  const plots = [...table.querySelectorAll(".plot")];
  const reachable = plots.includes(document.activeElement) ? document.activeElement : plots[0];
  for (const plot of plots) plot.tabIndex = plot === reachable ? 0 : -1;
};
