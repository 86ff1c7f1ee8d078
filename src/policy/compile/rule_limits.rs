//! The limits of a descriptor: its own, those of its plan, or none because it is exempt.

use std::sync::Arc;

use super::compiler::{Compiler, LevelContext, RuleLimits};
use super::coverage::ResponseCoverage;
use super::{limits, reach};
use crate::document::{FilePosition, PathElement, Report, Spanned, Text};
use crate::limit::LimitSet;
use crate::policy::raw::{Flag, RawDescriptor, RawRateLimit};
use crate::policy::{LevelName, Limits, PolicyCode};

impl Compiler<'_> {
    /// The limits of a descriptor, its own or those of its plan.
    pub(super) fn limits(
        &mut self,
        raw: &RawDescriptor,
        below: &LevelContext,
        report: &mut Report,
    ) -> Option<RuleLimits> {
        if let Some(exempt) = raw.extras.flag(Flag::Exempt) {
            let limit = raw.rate_limit.as_ref();
            let limit = limit.map(|limit| ("`rate_limit`", limit.position));
            let plan = raw.extras.plan.given();
            let plan = plan.map(|plan| ("`plan`", plan.position));
            if let Some((key, position)) = limit.or(plan) {
                let message = format!("`exempt` together with {key}");
                report.add(PolicyCode::ExemptWithLimit, position, message);
                return None;
            }
            return Some(RuleLimits {
                limits: Limits::Exempt,
                replaces: Box::default(),
                plan: None,
                position: exempt.position,
            });
        }
        match (&raw.rate_limit, raw.extras.plan.given()) {
            (Some(_), Some(plan)) => {
                let message = "a descriptor with `plan` and `rate_limit`";
                report.add(PolicyCode::PlanAndLimit, plan.position, message);
                None
            }
            (Some(rate_limit), None) => self.own_limits(rate_limit, below, report),
            (None, Some(plan)) => report.within(PathElement::Key("plan"), |report| {
                self.planned_limits(plan, below, report)
            }),
            (None, None) => None,
        }
    }

    fn own_limits(
        &mut self,
        rate_limit: &RawRateLimit,
        below: &LevelContext,
        report: &mut Report,
    ) -> Option<RuleLimits> {
        let summary = &self.summary;
        let compiled = report.within(PathElement::Key("rate_limit"), |report| {
            limits::compile(rate_limit, summary, report)
        })?;
        if let Limits::Counted(set) = &compiled.limits {
            report.within(PathElement::Key("rate_limit"), |report| {
                let may_be_replaced = |name: &str| summary.replaced.contains(name);
                reach::check(set, rate_limit, may_be_replaced, report);
            });
            let positions = rate_limit.limits.iter();
            let positions = positions.map(|limit| report.file_position(limit.position));
            cover(&mut self.responses, set, positions, &below.name);
        }
        Some(RuleLimits {
            limits: compiled.limits,
            replaces: compiled.replaces,
            plan: None,
            position: rate_limit.position,
        })
    }

    fn planned_limits(
        &mut self,
        name: &Spanned<Text>,
        below: &LevelContext,
        report: &mut Report,
    ) -> Option<RuleLimits> {
        let plan = self.plans.find(name, report)?;
        let terms = plan.terms.as_ref()?;
        if let (Limits::Counted(set), None) = (&terms.limits, &terms.response) {
            let positions = plan.limits_at.iter().copied();
            cover(&mut self.responses, set, positions, &below.name);
        }
        Some(RuleLimits {
            limits: terms.limits.clone(),
            replaces: terms.replaces.clone(),
            plan: Some(Arc::clone(terms)),
            position: name.position,
        })
    }
}

/// Adds the limits that a response reports to the nearest `response`.
fn cover(
    responses: &mut [ResponseCoverage],
    set: &LimitSet,
    positions: impl Iterator<Item = FilePosition>,
    name: &[LevelName],
) {
    let Some(response) = responses.last_mut() else {
        return;
    };
    let reported = set.limits.iter().zip(positions);
    for (limit, at) in reported.filter(|(limit, _)| !limit.shadow_mode) {
        response.add(limit, name, at);
    }
}
