//! The clients and rules of all domains as rows, in order.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::api::{DomainOverview, Overview, RuleOverview, ServerStatus, Top};
use crate::telemetry::HeavyHitter;

/// What the rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TopOrder {
    #[default]
    Refused,
    Hits,
    Name,
}

impl TopOrder {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Hits => "hits",
            Self::Name => "name",
        }
    }
}

/// A client or a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TopRow {
    pub(super) refused: u64,
    /// `None` if the client is not among those with the most hits.
    pub(super) hits: Option<u64>,
    /// The counts may be too high.
    pub(super) is_at_most: bool,
    pub(super) domain: String,
    /// The client, or the path of the rule.
    pub(super) name: String,
    /// The rule of a client, or the limits of a rule.
    pub(super) detail: String,
    /// Slots in use of a rule with a concurrency limit.
    pub(super) slots: Option<u64>,
}

impl TopRow {
    /// Whether any text of the row contains `filter`, which is lower case.
    fn contains(&self, filter: &str) -> bool {
        let texts = [&self.domain, &self.name, &self.detail];
        texts
            .iter()
            .any(|text| text.to_lowercase().contains(filter))
    }

    pub(super) fn hits_text(&self) -> String {
        self.hits
            .map_or_else(|| "-".to_owned(), |hits| self.bound(hits))
    }

    pub(super) fn refused_text(&self) -> String {
        self.bound(self.refused)
    }

    fn bound(&self, count: u64) -> String {
        match self.is_at_most && count > 0 {
            true => format!("≤{count}"),
            false => count.to_string(),
        }
    }
}

/// The clients of all domains, or of one.
pub(super) fn clients(top: &Top, domain: Option<&str>) -> Vec<TopRow> {
    let mut rows = Vec::new();
    for of_domain in top
        .domains
        .iter()
        .filter(|one| domain.is_none_or(|name| name == one.name))
    {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let clients = &of_domain.clients;
        let requested = clients.requested.iter().map(|hitter| (hitter, false));
        let refused = clients.refused.iter().map(|hitter| (hitter, true));
        for (hitter, is_refused) in requested.chain(refused) {
            let place = *places.entry(&*hitter.client).or_insert_with(|| {
                rows.push(client(&of_domain.name, hitter));
                rows.len() - 1
            });
            rows[place].is_at_most |= hitter.overcount > 0;
            match is_refused {
                true => rows[place].refused = hitter.hits,
                false => rows[place].hits = Some(hitter.hits),
            }
        }
    }
    rows
}

fn client(domain: &str, hitter: &HeavyHitter) -> TopRow {
    TopRow {
        domain: domain.to_owned(),
        name: hitter.client.to_string(),
        detail: hitter.rule.to_string(),
        ..TopRow::default()
    }
}

/// The rules of all domains, or of one.
pub(super) fn rules(overview: &Overview, domain: Option<&str>) -> Vec<TopRow> {
    let domains = domains(overview, domain);
    let rows = domains.flat_map(|domain| {
        let rules = domain.rules.iter();
        rules.map(|one| rule(&domain.name, one, &overview.status))
    });
    rows.collect()
}

fn rule(domain: &str, rule: &RuleOverview, status: &ServerStatus) -> TopRow {
    let limits: Vec<String> = rule
        .limits
        .iter()
        .map(|limit| match &limit.name {
            Some(name) => format!("{name}: {}", limit.text),
            None => limit.text.clone(),
        })
        .collect();
    let detail = match limits.is_empty() {
        true if rule.is_exempt => "exempt".to_owned(),
        true => "unlimited".to_owned(),
        false => limits.join("; "),
    };
    TopRow {
        refused: rule.hits.refused(),
        hits: Some(rule.hits.within + rule.hits.over),
        is_at_most: false,
        domain: domain.to_owned(),
        name: rule.name.clone(),
        detail: match rule.shadow_mode {
            true => format!("{detail} (shadow mode)"),
            false => detail,
        },
        slots: status.slots_in_use.get(&rule.id.to_string()).copied(),
    }
}

/// All domains, or one.
pub(super) fn domains<'o>(
    overview: &'o Overview,
    domain: Option<&str>,
) -> impl Iterator<Item = &'o DomainOverview> {
    let domains = overview.domains.iter();
    domains.filter(move |one| domain.is_none_or(|name| name == one.name))
}

/// The rows that contain the filter, in order.
pub(super) fn ranked(mut rows: Vec<TopRow>, order: TopOrder, filter: &str) -> Vec<TopRow> {
    let filter = filter.to_lowercase();
    rows.retain(|row| row.contains(&filter));
    rows.sort_by(|one, other| {
        let names = || (&one.domain, &one.name).cmp(&(&other.domain, &other.name));
        let key = |row: &TopRow| match order {
            TopOrder::Refused => Reverse((row.refused, row.hits)),
            TopOrder::Hits => Reverse((row.hits.unwrap_or(0), Some(row.refused))),
            TopOrder::Name => Reverse((0, None)),
        };
        key(one).cmp(&key(other)).then_with(names)
    });
    rows
}
