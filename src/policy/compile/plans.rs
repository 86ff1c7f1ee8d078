//! `plans`: terms by name, which nodes and assignments refer to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::summary::DomainSummary;
use super::{limits, reach, response};
use crate::document::{
    FilePosition, PathElement, Report, Spanned, Text, did_you_mean, is_placeholder, quoted,
};
use crate::policy::raw::RawPlan;
use crate::policy::{Limits, PolicyCode, Terms};

/// The plans of a domain.
#[derive(Debug, Default)]
pub(super) struct CompiledPlans(BTreeMap<Text, CompiledPlan>);

/// One plan.
#[derive(Debug)]
pub(super) struct CompiledPlan {
    /// `None` if it has errors.
    pub(super) terms: Option<Arc<Terms>>,
    /// Where each of its limits is.
    pub(super) limits_at: Vec<FilePosition>,
    at: FilePosition,
    is_used: bool,
}

impl CompiledPlans {
    /// Compiles the plans of all files; each comes with the index of its file.
    pub(super) fn compile(
        raw: Vec<(u32, RawPlan)>,
        summary: &DomainSummary,
        report: &mut Report,
    ) -> Self {
        let mut plans = Self::default();
        for (file, raw) in raw {
            report.in_file(file, |report| {
                report.within(PathElement::Key("plans"), |report| {
                    plans.add(raw, summary, report);
                });
            });
        }
        plans
    }

    fn add(&mut self, raw: RawPlan, summary: &DomainSummary, report: &mut Report) {
        let Spanned {
            value: name,
            position,
        } = raw.name.clone();
        if let Some(first) = self.0.get(&name) {
            let first = report.describe(first.at).unwrap_or_default();
            let message = format!("the plan {} is already {first}", quoted(&name));
            report.add(PolicyCode::DuplicatePlan, position, message);
            return;
        }
        if name.is_empty() || is_placeholder(&name) {
            let message = "the name of a plan must be text that assignments can write";
            report.add(PolicyCode::InvalidPlanName, position, message);
        }
        let limits_at = raw.rate_limit.iter().flat_map(|limit| &*limit.limits);
        let limits_at = limits_at.map(|limit| report.file_position(limit.position));
        let plan = CompiledPlan {
            limits_at: limits_at.collect(),
            terms: terms(&name, raw, summary, report).map(Arc::new),
            at: report.file_position(position),
            is_used: false,
        };
        self.0.insert(name, plan);
    }

    /// The plan of that name, which is used; a finding if there is none.
    pub(super) fn find(
        &mut self,
        name: &Spanned<Text>,
        report: &mut Report,
    ) -> Option<&CompiledPlan> {
        if !self.0.contains_key(&name.value) {
            let (message, help) = unknown(&name.value, self.0.keys().map(|name| &**name));
            report.add_with_help(PolicyCode::UnknownPlan, name.position, message, help);
        }
        let plan = self.0.get_mut(&name.value)?;
        plan.is_used = true;
        Some(plan)
    }

    /// Warns of plans that no descriptor uses.
    pub(super) fn report_unused(&self, report: &mut Report) {
        for (name, plan) in self.0.iter().filter(|(_, plan)| !plan.is_used) {
            report.in_file(plan.at.file, |report| {
                let message = format!("no descriptor has the plan {}", quoted(name));
                report.within(PathElement::Key("plans"), |report| {
                    report.add(PolicyCode::UnusedPlan, plan.at.position, message);
                });
            });
        }
    }

    /// The terms by name.
    pub(super) fn into_terms(self) -> BTreeMap<Arc<str>, Arc<Terms>> {
        let plans = self.0.into_iter();
        plans
            .filter_map(|(name, plan)| Some(((*name).into(), plan.terms?)))
            .collect()
    }
}

/// The message and the help for the name of a plan that does not exist.
pub(in crate::policy) fn unknown<'n>(
    name: &str,
    known: impl Iterator<Item = &'n str>,
) -> (String, String) {
    const MAX_LISTED: usize = 10;
    let known = known.filter(|name| !name.is_empty());
    let known: Vec<&str> = known.take(1_000).collect();
    let help = match did_you_mean(name, known.iter().copied()) {
        Some(near) => near,
        None if known.is_empty() => {
            "write it in `plans` at the root: `plans: {name: {rate_limit: …}}`".to_owned()
        }
        None => {
            let more = if known.len() > MAX_LISTED {
                ", …"
            } else {
                ""
            };
            let listed = &known[..known.len().min(MAX_LISTED)];
            format!("the plans are {}{more}", listed.join(", "))
        }
    };
    (format!("no plan is named {}", quoted(name)), help)
}

/// `None` if an error was reported.
fn terms(name: &Text, raw: RawPlan, summary: &DomainSummary, report: &mut Report) -> Option<Terms> {
    let Some(rate_limit) = &raw.rate_limit else {
        if raw.is_sound {
            let message = format!("the plan {} has no `rate_limit`", quoted(name));
            report.add(PolicyCode::PlanWithoutLimit, raw.name.position, message);
        }
        return None;
    };
    let compiled = report.within(PathElement::Key("rate_limit"), |report| {
        let compiled = limits::compile(rate_limit, summary, report);
        if let Some(Limits::Counted(set)) = compiled.as_ref().map(|compiled| &compiled.limits) {
            let may_be_replaced = |name: &str| summary.replaced.contains(name);
            reach::check(set, rate_limit, may_be_replaced, report);
        }
        compiled
    });
    let response = raw.response.as_ref().map(|raw| {
        report.within(PathElement::Key("response"), |report| {
            Arc::new(response::compile(raw, summary, report))
        })
    });
    let compiled = compiled?;
    Some(Terms {
        plan: Some((**name).into()),
        limits: compiled.limits,
        replaces: compiled.replaces,
        metadata: raw.metadata.map(Arc::new),
        response,
    })
}
