// The state of the server: its head, what needs attention, the numbers on top, and the domains.

const NEWEST = 6;
const sum = steps => steps.reduce((all, step) => all.map((count, at) => count + step[at]), [0, 0, 0, 0]);
// The mean of the last half minute.
const perSecond = steps => {
  const newest = steps.slice(-NEWEST);
  return sum(newest).map(count => newest.length ? count / newest.length / overview.step_secs : 0);
};
const hasTraffic = domain => domain.decisions.ok + domain.decisions.over_limit > 0 || domain.steps.some(total);

const drawHead = () => {
  const { policy_origin: origin } = overview, from = origin.kind === "xds" ? ` from ${origin.server}` : "";
  const loaded = overview.last_load.error ? from : `, loaded at ${time(overview.loaded_at_micros)}${from}`;
  setText($("version"), overview.version);
  setText($("policy"), `Policy ${overview.generation}${loaded}: ${plural(overview.rules, "rule")} in ${plural(overview.domains.length, "domain")}`);
};
const drawStage = (text, isBad) => {
  setText($("stage"), text);
  $("stage").classList.toggle("bad", isBad);
};

const notice = (kind, title, text, ...more) => make("div", `notice ${kind}`, make("h2", "", title), make("p", "", text), ...more);
// `shop.yaml:4:3: error[…]: …`, with the place in front.
const diagnosticList = diagnostics => make("ul", "", ...diagnostics.map(text => {
  const [place] = /^.+?:\d+(:\d+)?(?=: )/.exec(text) || [""];
  return make("li", "", make("span", "place", place), text.slice(place.length));
}));

const quote = word => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
// A command that sends a request which probably matches a rule: the page knows matchers only as text.
const exampleQuery = () => {
  for (const domain of overview.domains) {
    const rule = domain.rules.find(({ levels }) => levels.every(({ matcher }) => !matcher || !/[*{|(…/]/.test(matcher.replace(/^\w+ \//, ""))));
    if (rule) {
      const entries = rule.levels.map(({ key, matcher }) => quote(`${key}=${matcher || "test"}`));
      return `weir query --domain ${quote(domain.name)} ${entries.join(" ")}`;
    }
  }
  return "weir query --domain DOMAIN KEY=VALUE";
};

const notices = () => {
  const { last_load: load, policy_origin: origin, store, domains, unknown_domains: unknown = [] } = overview, list = [];
  const found = load.diagnostics.length ? [diagnosticList(load.diagnostics)] : [];
  if (load.error) {
    list.push(notice("alarm", "The last reload failed", `${time(load.at_micros)}: ${load.error}. Policy ${overview.generation} stays in force.`, ...found));
  } else if (found.length) {
    list.push(notice("", "Policy warnings", `Policy ${overview.generation} is in force.`, ...found));
  }
  if (origin.problem) {
    list.push(notice("alarm", "The configuration server is not connected", `${origin.server}: ${origin.problem}. The last configuration stays in force.`));
  }
  if (store.redis && store.redis.unavailable_reason) {
    list.push(notice("alarm", "Redis is unavailable", `${store.redis.unavailable_reason}. Each rule answers as its on_store_error says; by default, hits are counted in the memory of this instance.`));
  }
  if (store.disk && store.disk.problem) {
    list.push(notice("alarm", "Counters are not written to disk", `${store.disk.problem}. Decisions continue, but what is counted from now on will be lost if this instance ends. It keeps trying.`));
  }
  if (unknown.length) {
    const names = unknown.slice(0, 3).map(domain => `“${domain.name}”`).join(", "), others = unknown.length - 3;
    list.push(notice("", "Requests for unknown domains are not limited", `No policy defines ${names}${others > 0 ? ` and ${plural(others, "other")}` : ""}. The domain in Envoy's configuration and in the policy must be the same.`));
  }
  if (!domains.length && origin.kind === "xds") {
    list.push(notice("hint", "No policy", overview.generation > 1
      ? `Nothing is limited: the configuration of ${origin.server} has no domain.`
      : `Calls are answered with UNAVAILABLE until ${origin.server} has sent a configuration. It sends none to a node ID that it does not know (--xds-node-id), and none if it has no limits.`));
  } else if (!domains.length) {
    list.push(notice("hint", "No policy", "Nothing is limited. Put a policy into the folder of --policies; it is in force within a second. This one allows each API key 60 requests per minute:",
      make("pre", "", "domain: shop\ndescriptors:\n  - key: api_key\n    rate_limit:\n      unit: minute\n      requests_per_unit: 60\n")));
  } else if (!domains.some(hasTraffic) && !unknown.length) {
    list.push(notice("hint", "No requests yet", "Point Envoy's rate limit filter at the gRPC port, or send one yourself (with --server, if gRPC is not on 127.0.0.1:8081):", make("pre", "", exampleQuery())));
  }
  return list;
};
let drawnNotices = "";
const drawNotices = () => {
  const list = notices(), text = list.map(one => one.className + one.textContent).join("\n");
  // They would be announced again.
  if (text === drawnNotices) return;
  drawnNotices = text;
  $("notices").replaceChildren(...list);
};

const tile = (name, value, more, isBad) => make("div", isBad ? "bad" : "", make("dt", "", name), make("dd", "value", value), make("dd", "more", more));
const drawTiles = () => {
  const { store, domains } = overview;
  const now = domains.map(domain => perSecond(domain.steps)).reduce((all, one) => all.map((count, at) => count + one[at]), [0, 0, 0, 0]);
  const requests = total(now), refused = now[2], tiles = [
    tile("Requests per second", rate(requests), `last ${NEWEST * overview.step_secs} seconds`),
    tile("Refused per second", rate(refused), requests ? `${percent(refused / requests)} of requests` : "no requests", refused > 0),
  ];
  const slots = Object.values(overview.slots_in_use);
  if (slots.length) tiles.push(tile("Slots in use", number(slots.reduce((all, one) => all + one, 0)), `of ${plural(slots.length, "concurrency rule")}`));
  tiles.push(tile("Counters", number(store.counters), `${bytes(store.bytes)} of memory`));
  tiles.push(tile("Counters over limit", number(store.pinned), store.evicted ? `${number(store.evicted)} evicted: memory is full` : "none evicted", store.evicted_over_limit > 0));
  if (store.redis) {
    const reason = store.redis.unavailable_reason;
    tiles.push(tile("Store", "Redis", reason ? "unavailable" : "connected", Boolean(reason)));
  } else if (store.disk) {
    tiles.push(tile("Store", "Memory", store.disk.problem ? "not written to disk" : `${bytes(store.disk.bytes)} on disk`, Boolean(store.disk.problem)));
  } else tiles.push(tile("Store", "Memory", "of this instance"));
  $("tiles").replaceChildren(...tiles);
};

const modeTags = of => [
  ...of.shadow_mode ? [make("span", "tag shadow", "shadow mode")] : [],
  ...of.quota_mode ? [make("span", "tag", "quota mode")] : [],
  ...of.is_soft ? [make("span", "tag", "soft limit")] : [],
];
const newDomainCard = domain => {
  const rates = make("p", "rates"), plot = newPlot(`Requests of ${domain.name}`, false);
  const card = make("div", "domain", make("h3", "", make("span", "", domain.name), ...modeTags(domain)), rates, plot.root);
  const amount = (count, words, kind) => make("span", "", make("b", count > 0 ? kind : "", rate(count)), ` ${words}`);
  const draw = () => {
    const [ok, , over, shadow] = perSecond(domain.steps);
    rates.replaceChildren(amount(ok, "allowed", "c-ok"), amount(over, "refused", "c-over"),
      ...domain.shadow_mode || shadow > 0 ? [amount(shadow, "allowed by shadow mode", "c-shadow")] : []);
    card.classList.toggle("idle", !domain.steps.some(total));
    plot.update(domain.steps, hasTraffic(domain) ? "No requests in the last 15 minutes" : "No requests yet");
  };
  return { card, draw };
};

let cards = new Map();
const drawDomains = () => {
  $("domains-none").hidden = overview.domains.length > 0;
  setChildren($("domains"), overview.domains.map(domain => {
    if (!cards.has(domain)) cards.set(domain, newDomainCard(domain));
    return cards.get(domain).card;
  }));
  cards.forEach(({ draw }) => draw());
};

const drawUnmatched = () => {
  const { unknown_domains: unknown = [], unmatched = [] } = overview;
  setRows("unknown", unknown.map(one => row(cell("name", one.name), countCell("Requests", one.requests))));
  setRows("unmatched", unmatched.map(one => row(cell("name", one.keys.join(" › ")), cell("", one.domain), countCell("Descriptors", one.descriptors))));
};
