// Loads the overview, and follows the events of the server.

const draw = () => {
  drawStage(overview.stage, overview.stage !== "serving");
  drawHead();
  drawNotices();
  drawTiles();
  drawDomains();
  drawNear();
  drawUnmatched();
  drawRules();
};
const load = async () => {
  const answer = await fetch("/api/overview");
  overview = await answer.json();
  cards = new Map();
  groups = new Map();
  newEntries();
  drawDomainChoice();
  draw();
  await loadTop();
};

const add = (steps, step) => {
  steps.push(step);
  if (steps.length > overview.max_steps) steps.shift();
};
const step = event => {
  if (!overview) return;
  if (event.generation !== overview.generation || event.loaded_at_micros !== overview.loaded_at_micros) {
    load();
    return;
  }
  // All of the status, but not the steps, which are added to those before.
  const { domains, rules, ...status } = event;
  Object.assign(overview, status);
  overview.domains.forEach((domain, at) => {
    add(domain.steps, domains[at]);
    for (const rule of domain.rules) {
      const newest = rules[rule.id];
      if (newest || rule.steps.length) add(rule.steps, newest || [0, 0, 0, 0]);
    }
  });
  draw();
  loadTop();
};
const watch = () => {
  const events = new EventSource("/api/events");
  events.onopen = load;
  events.onmessage = event => step(JSON.parse(event.data));
  events.onerror = () => drawStage("unreachable, retrying", true);
};

document.addEventListener("keydown", event => {
  const isTyping = event.target.closest("input, textarea, select");
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    $("filter").focus();
  }
});
setUpRules();
setUpClients();
watch();
