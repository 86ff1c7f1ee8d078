// The table of rules, which can be searched and sorted, and those nearest to a limit.

const ruleName = rule => {
  const name = cell("name");
  rule.levels.forEach((level, at) => {
    if (at) name.append(make("i", "", " › "));
    name.append(make("b", "", level.key));
    if (level.matcher) name.append(make("i", "", "="), level.matcher);
  });
  name.append(...modeTags(rule));
  const place = placeOf(rule);
  if (place) name.append(make("span", "place", place));
  return name;
};
const placeOf = ({ file, line }) => file ? (line ? `${file}:${line}` : file) : "";
const algorithm = limit => limit.algorithm.replaceAll("_", " ");
const limitText = limit => limit.burst && !limit.text.includes("burst") ? `${limit.text}, burst ${limit.burst}` : limit.text;
const limitLine = limit => {
  // Long numbers are read in groups of three.
  const text = limitText(limit).replace(/\d{4,}/g, digits => Number(digits).toLocaleString("en"));
  const line = make("div", "limit", make("span", "", text), make("span", "tag", algorithm(limit)));
  if (limit.name) line.append(make("span", "tag", limit.name));
  if (limit.shadow_mode) line.append(make("span", "tag shadow", "shadow mode"));
  return line;
};

// The key of an order, its name, what it compares, and the direction that comes first.
const COLUMNS = [
  { key: "rule", title: "Rule", of: entry => entry.rule.name, isDescending: false },
  { key: "limits", title: "Limits" },
  { key: "rate", title: "Per second", of: entry => entry.rate, isDescending: true, kind: "n" },
  { key: "ok", title: "Allowed", of: entry => entry.sum[0], isDescending: true, kind: "n" },
  { key: "shadow", title: "Shadow", of: entry => entry.sum[3], isDescending: true, kind: "n shadowed" },
  { key: "over", title: "Refused", of: entry => entry.sum[2], isDescending: true, kind: "n" },
  { key: "plot", title: "Last 15 minutes" },
];
// No key: the order of the policy, in groups by domain.
const order = { key: "", isDescending: false };

let entries = [];
const newEntry = (domain, rule) => {
  const slots = make("div", "slots"), limits = labelled("Limits", cell("limits", ...rule.limits.map(limitLine)));
  if (!rule.limits.length) limits.append(make("span", "tag", rule.is_exempt ? "exempt" : "unlimited"));
  limits.append(slots);
  const counts = COLUMNS.filter(column => column.kind).map(column => labelled(column.title, cell(column.kind)));
  const plot = newPlot(`Hits of ${rule.name}`, true), name = ruleName(rule), owner = make("span", "place", domain.name);
  name.prepend(owner);
  const entry = {
    domain, rule, node: row(name, limits, ...counts, cell("drawn", plot.root)),
    text: [domain.name, rule.name, placeOf(rule), ...rule.limits.map(limit => `${limitText(limit)} ${algorithm(limit)} ${limit.name || ""}`)].join(" ").toLowerCase(),
    count() {
      entry.sum = sum(rule.steps);
      entry.rate = total(perSecond(rule.steps));
    },
    draw() {
      const [perSec, ok, shadow, over] = counts, inUse = overview.slots_in_use[rule.id];
      setText(slots, inUse === undefined ? "" : `${plural(inUse, "slot")} in use`);
      slots.classList.toggle("dim", !inUse);
      setText(perSec, rate(entry.rate));
      perSec.className = entry.rate ? "n" : "n dim";
      setCount(ok, entry.sum[0]);
      setCount(shadow, entry.sum[3], "c-shadow", "shadowed");
      setCount(over, entry.sum[2], "c-over");
      owner.hidden = !order.key;
      entry.node.classList.toggle("idle", !total(entry.sum));
      plot.update(rule.steps);
    },
  };
  return entry;
};
const newEntries = () => {
  entries = overview.domains.flatMap(domain => domain.rules.map(rule => newEntry(domain, rule)));
};

const groupRow = domain => {
  const head = make("th", "", domain.name);
  head.colSpan = COLUMNS.length;
  head.setAttribute("role", "rowheader");
  const group = row(head);
  group.className = "group";
  return group;
};
const sorted = list => {
  const column = COLUMNS.find(({ key }) => key === order.key), sign = order.isDescending ? -1 : 1;
  if (!column) return list;
  const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  return [...list].sort((a, b) => sign * compare(column.of(a), column.of(b)));
};
let groups = new Map();
const drawRules = () => {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean), onlyActive = $("active").checked;
  const shown = entries.filter(({ text, rule }) => words.every(word => text.includes(word)) && (!onlyActive || rule.steps.some(total)));
  shown.forEach(entry => entry.count());
  const rows = sorted(shown).flatMap((entry, at, all) => {
    if (order.key || (at && all[at - 1].domain === entry.domain)) return [entry.node];
    if (!groups.has(entry.domain)) groups.set(entry.domain, groupRow(entry.domain));
    return [groups.get(entry.domain), entry.node];
  });
  const hasShadow = entries.some(({ domain, rule, sum }) => domain.shadow_mode || rule.shadow_mode || (sum && sum[3]));
  $("rules-table").classList.toggle("without-shadow", !hasShadow);
  setRows("rules", rows);
  shown.forEach(entry => entry.draw());
  keepOneReachable($("rules"));
  const omitted = entries.length < overview.rules ? `; ${number(entries.length)} of them are listed, those with hits first` : "";
  setText($("rules-note"), `${number(shown.length)} of ${number(overview.rules)}${omitted}`);
  setText($("rules-none"), entries.length ? "No rule is like that. Search for less, or show those without hits, too." : "The policy has no rules.");
};

const sortBy = key => {
  const column = COLUMNS.find(column => column.key === key);
  // The third time leads back to the order of the policy.
  const isThird = order.key === key && order.isDescending !== column.isDescending;
  order.isDescending = column && (order.key === key ? !order.isDescending : column.isDescending);
  order.key = isThird ? "" : key;
  drawOrder();
};
const drawOrder = () => {
  $("sort").value = order.key;
  for (const head of $("rules-head").children) {
    const direction = order.isDescending ? "descending" : "ascending";
    if (head.dataset.key === order.key) head.setAttribute("aria-sort", direction);
    else head.removeAttribute("aria-sort");
  }
  drawRules();
};
const option = (value, text) => {
  const node = make("option", "", text);
  node.value = value;
  return node;
};
const setUpRules = () => {
  $("sort").append(option("", "The policy"), ...COLUMNS.filter(column => column.of).map(({ key, title }) => option(key, title)));
  $("rules-head").append(...COLUMNS.map(({ key, title, of, kind }) => {
    const head = make("th", kind), button = make("button", "", title);
    head.setAttribute("role", "columnheader");
    head.dataset.key = key;
    button.addEventListener("click", () => sortBy(key));
    head.append(of ? button : title);
    return head;
  }));
  $("sort").addEventListener("change", () => {
    const column = COLUMNS.find(({ key }) => key === $("sort").value);
    order.key = $("sort").value;
    order.isDescending = Boolean(column && column.isDescending);
    drawOrder();
  });
  $("filter").addEventListener("input", drawRules);
  $("active").addEventListener("change", drawRules);
  $("rules").addEventListener("keydown", event => moveBetween($("rules"), event));
};

const drawNear = () => {
  const share = ([ok, near, over, shadow]) => (near + over + shadow) / Math.max(1, ok + over + shadow);
  const nearest = overview.domains.flatMap(domain => domain.rules.map(rule => ({ domain, rule, of: sum(rule.steps) })))
    .filter(({ of }) => share(of) > 0)
    .sort((a, b) => share(b.of) - share(a.of) || b.of[2] - a.of[2]).slice(0, 10);
  setRows("near", nearest.map(({ domain, rule, of }) => {
    const [, near, over] = of, bar = make("i"), shared = labelled("Share", cell("n", make("span", "share", bar), make("span", "percent", percent(share(of)))));
    bar.style.width = `${100 * share(of)}%`;
    return row(ruleName(rule), cell("owner", domain.name), countCell("Hits", total(of)), countCell("Near", near, "c-near"), countCell("Refused", over, "c-over"), shared);
  }));
};
