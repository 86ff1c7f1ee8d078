// The limits that were assigned to single clients while weir serves.

const drawAssignments = list => {
  const kept = { memory: "They are kept in memory only and end with this process.", file: "They are kept in the folder of --state.", redis: "They are kept in Redis, for all instances." };
  setText($("assigned-note"), kept[list.storage]);
  $("assignments").hidden = !list.tables.length;
  setRows("assigned", list.assignments.map(assignment => {
    const terms = cell("name rule", assignment.plan || assignment.rate_limit, make("span", "place", `${assignment.table} of ${assignment.domain}`));
    const until = labelled("Until", cell("", assignment.until || "–"));
    if (assignment.has_ended) until.append(" (ended)");
    const note = labelled("Note", cell("name", assignment.note || "–", make("span", "place", assignment.author || "")));
    if (assignment.problem) note.append(make("span", "c-over", ` no effect: ${assignment.problem}`));
    return row(cell("name", assignment.client), terms, until, note);
  }));
};
const loadAssignments = async () => {
  const answer = await fetch("/api/assignments", { headers: headers({}) });
  if (answer.ok) drawAssignments(await answer.json());
};
