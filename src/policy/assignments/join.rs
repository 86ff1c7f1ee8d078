//! From tables and a domain to what each rule gives their clients.

use std::sync::Arc;

use super::assigned::Assigned;
use super::row::RowFault;
use super::table::{AssignmentTable, RowTerms};
use crate::policy::compile::{OwnLimits, own_limits, unknown_plan};
use crate::policy::tree::Domain;
use crate::policy::{Limits, Rule, Terms};

/// A fault of the terms of a table: the index of the table in the domain, and the number of the terms.
pub(super) type TermsFault = (usize, usize, RowFault);

/// Joins tables, in the order of the domain's, with its rules.
pub(super) fn join(
    domain: &Domain,
    tables: Vec<Option<Arc<AssignmentTable>>>,
) -> (Assigned, Vec<TermsFault>) {
    let mut faults = Vec::new();
    let mut known: Vec<Vec<Option<OwnLimits>>> = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let written = table.iter().flat_map(|table| &table.terms).enumerate();
        let terms = written.map(|(number, terms)| {
            let terms = terms_of(terms, domain);
            terms.map_err(|fault| faults.push((at, number, fault))).ok()
        });
        known.push(terms.collect());
    }
    let rules = domain.assigned_rules.iter();
    let rules = rules.filter_map(|rule| domain.rules.get(*rule as usize));
    let terms = rules.map(|rule| {
        let table = rule.assigned_by.map_or(0, |by| by.table as usize);
        let known = known.get(table).map_or(&[][..], Vec::as_slice);
        let terms = known.iter().enumerate().map(|(number, terms)| {
            let applied = apply(terms.as_ref()?, rule);
            applied
                .map_err(|fault| faults.push((table, number, fault)))
                .ok()
        });
        terms.collect()
    });
    let terms = terms.collect();
    (Assigned::new(tables, terms), faults)
}

fn terms_of(written: &RowTerms, domain: &Domain) -> Result<OwnLimits, RowFault> {
    match written {
        RowTerms::Plan(name) => match domain.plans.get(&**name) {
            Some(terms) => Ok(OwnLimits::Terms(Arc::clone(terms))),
            None => {
                let (message, help) = unknown_plan(name, domain.plans.keys().map(|name| &**name));
                Err(RowFault { message, help })
            }
        },
        RowTerms::RateLimit(text) => own_limits(text, domain),
    }
}

/// The terms for one rule: a rate alone changes a number of the rule's limits.
fn apply(terms: &OwnLimits, rule: &Rule) -> Result<Arc<Terms>, RowFault> {
    let rate = match terms {
        OwnLimits::Terms(terms) => return Ok(Arc::clone(terms)),
        OwnLimits::Rate(rate) => rate,
    };
    let changed = match &rule.limits {
        Limits::Counted(set) => set.with_rate(*rate),
        Limits::Unlimited { .. } | Limits::Exempt => None,
    };
    let Some(set) = changed else {
        let message = format!("no limit of {} is per {}", rule.name, rate.window);
        let help = "use the window of one of the limits, or write all limits: \
                    `{unit: minute, requests_per_unit: 600}`, or a list of them";
        return Err(RowFault::new(message, help));
    };
    Ok(Arc::new(Terms {
        plan: None,
        limits: Limits::Counted(set),
        replaces: rule.replaces.clone(),
        metadata: None,
        response: None,
    }))
}
