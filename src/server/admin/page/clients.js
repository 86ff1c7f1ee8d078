// What the token opens: heavy hitters, and requests explained by their present counters.

let token = "";
const headers = more => token ? { ...more, Authorization: `Bearer ${token}` } : more;

const drawTop = top => {
  for (const kind of ["refused", "requested"]) {
    const hitters = top.domains.flatMap(domain => domain[kind].map(hitter => ({ domain, ...hitter })))
      .sort((a, b) => b.hits - a.hits).slice(0, 15);
    setRows(kind, hitters.map(hitter => {
      const hits = countCell(kind === "refused" ? "Refused" : "Hits", hitter.hits, kind === "refused" && "c-over");
      if (hitter.overcount) hits.title = `may be too high by up to ${number(hitter.overcount)}`;
      const rule = cell("name rule", hitter.rule || "–", make("span", "place", hitter.domain.name));
      return row(cell("name", hitter.client), rule, hits);
    }));
  }
};
const loadTop = async () => {
  if (overview.has_token && !token) {
    $("token-form").hidden = false;
    return;
  }
  const answer = await fetch("/api/top", { headers: headers({}) });
  const isLocked = !answer.ok && overview.has_token;
  $("token-form").hidden = !isLocked;
  $("hitters").hidden = !answer.ok;
  // With the token the present counters are shown as they are, so hits would have no effect.
  const isLive = answer.ok && Boolean(token);
  $("hits").disabled = isLive;
  setText($("explain-counters"), isLive ? "The counters are those of the server, before any hit." : "Without the admin token, fresh counters are assumed.");
  if (answer.ok) {
    setText($("token-note"), "");
    drawTop(await answer.json());
    return loadAssignments();
  }
  const why = (await answer.text()).trim();
  if (!isLocked) setText($("top-note"), `Not shown: ${why}.`);
  else setText($("token-note"), answer.status === 401 ? "This is not the token." : why);
};

const drawDomainChoice = () => {
  const chosen = $("domain").value;
  $("domain").replaceChildren(...overview.domains.map(domain => make("option", "", domain.name)));
  if (overview.domains.some(domain => domain.name === chosen)) $("domain").value = chosen;
};
// The form as a request in JSON.
const request = () => {
  const hits = Number($("hits").value), descriptors = [{ entries: [], hitsAddend: hits }];
  for (const line of $("entries").value.split("\n")) {
    const at = line.indexOf("=");
    if (line.trim() === "+") descriptors.push({ entries: [], hitsAddend: hits });
    else if (at > 0) descriptors[descriptors.length - 1].entries.push({ key: line.slice(0, at).trim(), value: line.slice(at + 1) });
  }
  return { domain: $("domain").value, descriptors };
};
const explain = async event => {
  event.preventDefault();
  const answer = await fetch("/api/explain", {
    method: "POST",
    headers: headers({ Accept: "text/plain", "Content-Type": "application/json" }),
    body: JSON.stringify(request()),
  });
  setText($("explained"), await answer.text());
  $("explained").hidden = false;
};
const setUpClients = () => {
  $("token-form").addEventListener("submit", event => {
    event.preventDefault();
    token = $("token").value.trim();
    loadTop();
  });
  $("explain").addEventListener("submit", explain);
};
