//! The compiler: from the raw form of a domain to its tree.
//!
//! It checks what one key alone cannot show, such as duplicates and nodes that can never match, and
//! reports every fault that it finds. It does no I/O and does not know YAML.

mod cidr;
mod concurrency;
mod coverage;
mod effect;
mod level;
mod limits;
mod matcher;
mod reach;
mod response;
mod root;
mod standard;
mod summary;
mod unlikely;

use std::collections::HashMap;
use std::sync::Arc;

use super::raw::{Flag, ON_STORE_ERROR, RawDescriptor, RawDescriptors, RawResponse};
use super::tree::{Domain, PolicyLevel, PolicyNode};
use super::{
    LevelName, Limits, MetricDetail, MetricIds, OnStoreError, ResponseTemplate, Rule, RuleName,
};
use crate::document::{Field, Metadata, PathElement, Report, Spanned, Text};
use crate::policy::PolicyCode;
use coverage::ResponseCoverage;
use level::LevelBuilder;
pub(crate) use root::DomainFile;
use root::RootSettings;
use summary::DomainSummary;

/// The most nodes and values of one domain; fewer in tests, which have to get there.
const MAX_NODES: usize = if cfg!(test) { 10_000 } else { 4_000_000 };

/// The longest name of a domain: it is in every counter's identity, in logs and in metrics.
const MAX_DOMAIN_BYTES: usize = 1024;

/// The default of `lease_entry`.
const LEASE_ENTRY: &str = "lease";

/// Compiles one domain; `None` if it has no name.
///
/// `report` must be of the files of these parts. Use the domain only if no error was reported.
pub(crate) fn compile(mut parts: Vec<DomainFile>, report: &mut Report) -> Option<Domain> {
    let mut summary = DomainSummary::gather(parts.iter().map(|part| &part.raw.descriptors[..]));
    for (file, part) in parts.iter().enumerate() {
        if part.raw.name.is_absent() {
            let help = "begin the file with `domain: name`";
            let message = "the file has no `domain`";
            report.in_file(file as u32, |report| {
                report.add_with_help(PolicyCode::MissingDomain, part.raw.position, message, help);
            });
        }
        if let Some(name) = part.raw.name.given() {
            report.in_file(file as u32, |report| {
                report.within(PathElement::Key("domain"), |report| {
                    check_name(name, report);
                });
            });
        }
    }
    if !summary.has_leases {
        warn_of_lease_entry(&parts, report);
    }
    let root = RootSettings::merge(&mut parts, report);
    summary.atomic = root.atomic;
    let lease_entry = root.lease_entry.as_deref().unwrap_or(LEASE_ENTRY);
    let lease_entry = summary.has_leases.then(|| lease_entry.as_bytes().into());
    let mut compiler = Compiler {
        summary,
        nodes: Vec::new(),
        levels: Vec::new(),
        rules: Vec::new(),
        keys: HashMap::new(),
        responses: Vec::new(),
        values: 0,
        is_full: false,
    };
    let response = root
        .response
        .as_ref()
        .map(|(file, raw)| report.in_file(*file, |report| compiler.begin_response(raw, report)));
    let context = LevelContext {
        depth: 0,
        response: response.clone(),
        on_store_error: root.on_store_error,
        value_levels: 0,
        name: Vec::new(),
    };
    let groups = parts.into_iter().enumerate();
    let groups = groups.map(|(file, part)| (file as u32, part.raw.descriptors));
    let top = compiler.level(groups.collect(), &context, report);
    if let Some((file, _)) = root.response {
        report.in_file(file, |report| compiler.end_response(report));
    }
    Some(Domain {
        name: (*root.name?).into(),
        shadow_mode: root.shadow_mode,
        quota_mode: root.quota_mode,
        metric_ids: MetricIds::default(),
        atomic: root.atomic,
        lease_entry,
        response,
        secrets: compiler.summary.secrets,
        rules: compiler.rules,
        nodes: compiler.nodes,
        levels: compiler.levels,
        top,
    })
}

fn check_name(name: &Spanned<Text>, report: &mut Report) {
    if name.value.len() > MAX_DOMAIN_BYTES {
        let message = format!("the name of a domain has at most {MAX_DOMAIN_BYTES} bytes");
        report.add(PolicyCode::DomainTooLong, name.position, message);
    }
    unlikely::check_text("the name of the domain", name, report);
}

fn warn_of_lease_entry(parts: &[DomainFile], report: &mut Report) {
    for (file, part) in parts.iter().enumerate() {
        if let Some(entry) = &part.raw.lease_entry {
            let message =
                "`lease_entry` has no effect in a domain without `algorithm: concurrency`";
            report.in_file(file as u32, |report| {
                report.within(PathElement::Key("lease_entry"), |report| {
                    report.add(PolicyCode::NoEffect, entry.position, message);
                });
            });
        }
    }
}

struct Compiler {
    summary: DomainSummary,
    nodes: Vec<PolicyNode>,
    levels: Vec<PolicyLevel>,
    rules: Vec<Arc<Rule>>,
    /// The keys of all levels so far, for the names of rules.
    keys: HashMap<Text, Arc<str>>,
    /// The `response` blocks around the present descriptor, the nearest last.
    responses: Vec<ResponseCoverage>,
    /// How many exact values there are.
    values: usize,
    /// Whether the domain is full, which is reported once.
    is_full: bool,
}

/// What a level inherits from those above it.
struct LevelContext {
    /// 0 at the top.
    depth: usize,
    response: Option<Arc<ResponseTemplate>>,
    on_store_error: OnStoreError,
    value_levels: u64,
    name: Vec<LevelName>,
}

impl Compiler {
    /// Compiles the nodes of one level, each group from the file of that index; `None` if there are
    /// none, or if the level is too deep to be reached.
    fn level(
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
        if raw.key.is_absent() {
            report.add(
                PolicyCode::MissingKey,
                raw.position,
                "the descriptor has no `key`",
            );
        }
        if context.depth == Domain::MAX_DEPTH {
            let message = format!(
                "no request reaches levels deeper than {}",
                Domain::MAX_DEPTH
            );
            report.add(PolicyCode::Unreachable, raw.position, message);
        }
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
        let mut value_levels = context.value_levels;
        if raw
            .extras
            .flags
            .iter()
            .any(|flag| flag.value == Flag::ValueToMetric)
            && shows_value
        {
            value_levels |= 1_u64.checked_shl(context.depth as u32).unwrap_or(0);
        }
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
            value_levels,
            name,
        };
        effect::check(&raw, shows_value, report);
        let descriptors = std::mem::take(&mut raw.descriptors);
        let file = report.file_position(None).file;
        let metadata = raw.extras.written().and_then(|more| more.metadata.take());
        let metadata = metadata.map(Arc::new);
        self.nodes[node as usize] = PolicyNode {
            rule: self.rule(&raw, metadata.as_ref(), &below, report),
            metadata,
            response: below.response.clone(),
            below: self.level(vec![(file, descriptors)], &below, report),
        };
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
        metadata: Option<&Arc<Metadata>>,
        below: &LevelContext,
        report: &mut Report,
    ) -> Option<Arc<Rule>> {
        let rate_limit = raw.rate_limit.as_ref()?;
        let summary = &self.summary;
        let compiled = report.within(PathElement::Key("rate_limit"), |report| {
            limits::compile(rate_limit, summary, report)
        })?;
        if let Limits::Counted(set) = &compiled.limits {
            report.within(PathElement::Key("rate_limit"), |report| {
                let may_be_replaced = |name: &str| summary.replaced.contains(name);
                reach::check(set, rate_limit, may_be_replaced, report);
            });
            let reported = set.limits.iter().zip(&rate_limit.limits);
            for (limit, raw) in reported.filter(|(limit, _)| !limit.shadow_mode) {
                if let Some(response) = self.responses.last_mut() {
                    response.add(limit, &below.name, report.file_position(raw.position));
                }
            }
        }
        let has = |flag| raw.extras.flags.iter().any(|own| own.value == flag);
        let rule = Arc::new(Rule {
            limits: compiled.limits,
            shadow_mode: has(Flag::Shadow),
            quota_mode: has(Flag::Quota),
            replaces: compiled.replaces,
            on_store_error: below.on_store_error,
            metric: MetricDetail {
                detailed: has(Flag::DetailedMetric),
                value_levels: below.value_levels,
            },
            metadata: metadata.cloned(),
            name: RuleName {
                levels: below.name.clone().into(),
            },
            metric_ids: MetricIds::default(),
            file: Some(report.file().clone()),
            position: rate_limit.position,
        });
        self.rules.push(rule.clone());
        Some(rule)
    }

    /// Compiles a `response`, which covers all rules until its end.
    fn begin_response(&mut self, raw: &RawResponse, report: &mut Report) -> Arc<ResponseTemplate> {
        let compiled = report.within(PathElement::Key("response"), |report| {
            response::compile(raw, &self.summary, report)
        });
        self.responses.push(ResponseCoverage::new(raw, &compiled));
        Arc::new(compiled)
    }

    fn end_response(&mut self, report: &mut Report) {
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

/// The value of `on_store_error`; `None` if it is absent or unknown.
pub(crate) fn on_store_error(field: &Field<Text>, report: &mut Report) -> Option<OnStoreError> {
    if field.is_absent() {
        return None;
    }
    let step = PathElement::Key("on_store_error");
    match report.within(step, |report| limits::word(field, ON_STORE_ERROR, report))? {
        "allow" => Some(OnStoreError::Allow),
        "deny" => Some(OnStoreError::Deny),
        "error" => Some(OnStoreError::Error),
        _ => Some(OnStoreError::Local),
    }
}
