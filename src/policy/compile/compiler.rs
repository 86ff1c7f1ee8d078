//! The walk over the descriptors of a domain, which builds its nodes, levels and rules.

use std::collections::HashMap;
use std::sync::Arc;

use super::coverage::ResponseCoverage;
use super::level::LevelBuilder;
use super::plans::CompiledPlans;
use super::summary::DomainSummary;
use super::{effect, matcher, on_store_error, response, unlikely};
use crate::document::{PathElement, Position, Report, Text};
use crate::policy::assignments::TableFiles;
use crate::policy::raw::{Flag, RawDescriptor, RawDescriptors, RawResponse};
use crate::policy::rule::AssignedBy;
use crate::policy::tree::{Domain, PolicyLevel, PolicyNode, UsedTable};
use crate::policy::{
    LevelName, Limits, MetricDetail, MetricIds, OnStoreError, PolicyCode, ResponseTemplate, Rule,
    RuleName, Terms,
};

/// The most nodes and values of one domain; fewer in tests, which have to get there.
const MAX_NODES: usize = if cfg!(test) { 10_000 } else { 4_000_000 };

/// Compiles the nodes of a domain, level by level.
pub(super) struct Compiler<'t> {
    pub(super) summary: DomainSummary,
    pub(super) nodes: Vec<PolicyNode>,
    pub(super) levels: Vec<PolicyLevel>,
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) plans: CompiledPlans,
    pub(super) known_tables: &'t TableFiles,
    pub(super) tables: Vec<UsedTable>,
    /// The indices of the rules that a table changes.
    pub(super) assigned_rules: Vec<u32>,
    /// The keys of all levels so far, for the names of rules.
    keys: HashMap<Text, Arc<str>>,
    /// The `response` blocks around the present descriptor, the nearest last.
    pub(super) responses: Vec<ResponseCoverage>,
    /// How many exact values there are.
    values: usize,
    /// Whether the domain is full, which is reported once.
    is_full: bool,
}

/// What a level inherits from those above it.
pub(super) struct LevelContext {
    /// 0 at the top.
    pub(super) depth: usize,
    pub(super) response: Option<Arc<ResponseTemplate>>,
    pub(super) on_store_error: OnStoreError,
    pub(super) value_levels: u64,
    pub(super) name: Vec<LevelName>,
}

/// The limits of a rule, and where they come from.
pub(super) struct RuleLimits {
    pub(super) limits: Limits,
    pub(super) replaces: Box<[Arc<str>]>,
    pub(super) plan: Option<Arc<Terms>>,
    pub(super) position: Option<Position>,
}

impl<'t> Compiler<'t> {
    pub(super) fn new(
        summary: DomainSummary,
        plans: CompiledPlans,
        known_tables: &'t TableFiles,
    ) -> Self {
        Self {
            summary,
            plans,
            known_tables,
            tables: Vec::new(),
            assigned_rules: Vec::new(),
            nodes: Vec::new(),
            levels: Vec::new(),
            rules: Vec::new(),
            keys: HashMap::new(),
            responses: Vec::new(),
            values: 0,
            is_full: false,
        }
    }

    /// Compiles the nodes of one level, each group from the file of that index; `None` if there are
    /// none, or if the level is too deep to be reached.
    pub(super) fn level(
        &mut self,
        groups: Vec<(u32, RawDescriptors)>,
        context: &LevelContext,
        report: &mut Report,
    ) -> Option<u32> {
        if groups.iter().all(|(_, descriptors)| descriptors.is_empty()) {
            return None;
        }
        let mut builder = LevelBuilder::default();
        report.within(PathElement::Key("descriptors"), |report| {
            for (file, descriptors) in groups {
                report.in_file(file, |report| {
                    self.descriptors(descriptors, &mut builder, context, report);
                });
            }
            builder.find_hashed_twice(report);
            builder.find_unreachable(report);
            builder.find_missing_catch_all(report);
        });
        let at = self.levels.len() as u32;
        self.levels.push(builder.finish());
        // Deeper levels were checked, with a warning; a walk must not reach them.
        (context.depth < Domain::MAX_DEPTH).then_some(at)
    }

    fn descriptors(
        &mut self,
        raw: RawDescriptors,
        builder: &mut LevelBuilder,
        context: &LevelContext,
        report: &mut Report,
    ) {
        for (index, raw) in raw.into_iter().enumerate() {
            if !self.has_room(&raw, report) {
                return;
            }
            report.within(PathElement::Index(index), |report| {
                self.descriptor(*raw, index, builder, context, report);
            });
        }
    }

    fn descriptor(
        &mut self,
        mut raw: RawDescriptor,
        index: usize,
        builder: &mut LevelBuilder,
        context: &LevelContext,
        report: &mut Report,
    ) {
        if !raw.is_sound {
            return;
        }
        check_place(&raw, context.depth, report);
        let node = self.nodes.len() as u32;
        self.nodes.push(PolicyNode::default());
        for list in [&raw.matchers.values, &raw.matchers.cidr] {
            self.values += list.given().map_or(0, |list| list.value.len());
        }
        unlikely::check_descriptor(&raw, report);
        let matcher = matcher::compile(&raw, report);
        let shows_value = matcher.as_ref().is_none_or(|matcher| matcher.shows_value());
        let own = raw.extras.response.as_ref();
        let own = own.map(|raw| self.begin_response(raw, report));
        let has_own = own.is_some();
        let own_value_level = match raw.extras.has(Flag::ValueToMetric) && shows_value {
            true => 1_u64.checked_shl(context.depth as u32).unwrap_or(0),
            false => 0,
        };
        let counts_values = matcher
            .as_ref()
            .is_none_or(|matcher| matcher.counts_values());
        let mut name = context.name.clone();
        if let (Some(key), Some(matcher)) = (raw.key.given(), &matcher) {
            let key = self.shared(&key.value);
            name.push(matcher.level_name(key, index, &self.summary));
        }
        let below = LevelContext {
            depth: context.depth + 1,
            response: own.or_else(|| context.response.clone()),
            on_store_error: on_store_error(&raw.extras.on_store_error, report)
                .unwrap_or(context.on_store_error),
            value_levels: context.value_levels | own_value_level,
            name,
        };
        effect::check(&raw, shows_value, report);
        let descriptors = std::mem::take(&mut raw.descriptors);
        let file = report.file_position(None).file;
        let metadata = raw.extras.written().and_then(|more| more.metadata.take());
        let mut compiled = PolicyNode {
            metadata: metadata.map(Arc::new),
            response: below.response.clone(),
            ..PolicyNode::default()
        };
        let limits = self.limits(&raw, &below, report);
        let table = self.table(&raw, counts_values, report);
        if let Some(plan) = limits.as_ref().and_then(|limits| limits.plan.as_deref()) {
            compiled.metadata = plan.metadata.clone().or(compiled.metadata);
            compiled.response = plan.response.clone().or(compiled.response);
        }
        compiled.rule =
            limits.map(|limits| self.rule(&raw, limits, table, &compiled, &below, report));
        compiled.below = self.level(vec![(file, descriptors)], &below, report);
        self.nodes[node as usize] = compiled;
        if has_own {
            self.end_response(report);
        }
        if let (Some(key), Some(matcher)) = (raw.key.given(), matcher) {
            builder.add(key, matcher, node, index, report);
        }
    }

    fn rule(
        &mut self,
        raw: &RawDescriptor,
        limits: RuleLimits,
        table: Option<u32>,
        node: &PolicyNode,
        below: &LevelContext,
        report: &Report,
    ) -> Arc<Rule> {
        let has = |flag| raw.extras.has(flag);
        let assigned_by = table.map(|table| AssignedBy {
            table,
            slot: self.assigned_rules.len() as u32,
        });
        if assigned_by.is_some() {
            self.assigned_rules.push(self.rules.len() as u32);
        }
        let rule = Arc::new(Rule {
            limits: limits.limits,
            assigned_by,
            plan: limits.plan.and_then(|plan| plan.plan.clone()),
            shadow_mode: has(Flag::Shadow),
            quota_mode: has(Flag::Quota),
            is_soft: node
                .response
                .as_ref()
                .is_some_and(|response| response.over_limit.allow),
            replaces: limits.replaces,
            on_store_error: below.on_store_error,
            metric: MetricDetail {
                detailed: has(Flag::DetailedMetric),
                value_levels: below.value_levels,
            },
            metadata: node.metadata.clone(),
            name: RuleName {
                levels: below.name.clone().into(),
            },
            metric_ids: MetricIds::default(),
            file: Some(report.file().clone()),
            position: limits.position,
        });
        self.rules.push(rule.clone());
        rule
    }

    /// Compiles a `response`, which covers all rules until its end.
    pub(super) fn begin_response(
        &mut self,
        raw: &RawResponse,
        report: &mut Report,
    ) -> Arc<ResponseTemplate> {
        let compiled = report.within(PathElement::Key("response"), |report| {
            response::compile(raw, &self.summary, report)
        });
        self.responses.push(ResponseCoverage::new(raw, &compiled));
        Arc::new(compiled)
    }

    pub(super) fn end_response(&mut self, report: &mut Report) {
        if let Some(response) = self.responses.pop() {
            response.report(report);
        }
    }

    fn shared(&mut self, key: &Text) -> Arc<str> {
        let known = self.keys.entry(key.clone());
        known.or_insert_with(|| (**key).into()).clone()
    }

    /// Whether the domain can have another node; if not, that is reported once.
    fn has_room(&mut self, next: &RawDescriptor, report: &mut Report) -> bool {
        if self.nodes.len() + self.values < MAX_NODES {
            return true;
        }
        if !self.is_full {
            self.is_full = true;
            let message = format!("a domain has at most {MAX_NODES} descriptors and values");
            report.add(PolicyCode::TooManyDescriptors, next.position, message);
        }
        false
    }
}

/// Reports a descriptor without a key, or one that is too deep to be reached.
fn check_place(raw: &RawDescriptor, depth: usize, report: &mut Report) {
    if raw.key.is_absent() {
        let message = "the descriptor has no `key`";
        report.add(PolicyCode::MissingKey, raw.position, message);
    }
    if depth == Domain::MAX_DEPTH {
        let message = format!(
            "no request reaches levels deeper than {}",
            Domain::MAX_DEPTH
        );
        report.add(PolicyCode::Unreachable, raw.position, message);
    }
}
