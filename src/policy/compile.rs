//! From the raw form to the tree: every feature of the language is lowered here.

mod facts;
mod level;
mod limits;
mod matcher;
mod response;

use std::sync::Arc;

use facts::Facts;
use level::Draft;

use super::report::{Report, Step};
use super::schema::{Flag, RawDescriptor, RawDomain, Spanned};
use super::tree::{Domain, Level, Node};
use super::{Code, MetricDetail, Response, Rule};

/// The most nodes and values of one domain.
const MAX_NODES: usize = 4_000_000;

/// Compiles one domain; none if it has no name. It is only to be used if the report has no error.
pub(crate) fn compile(raw: RawDomain, report: &mut Report) -> Option<Domain> {
    let facts = Facts::gather(&raw.descriptors);
    if raw.name.is_absent() {
        let hint = "begin the file with `domain: name`";
        let message = "the file names no domain";
        report.hint(Code::MissingDomain, raw.place, (message, hint));
    }
    let mut compiler = Compiler {
        report,
        facts,
        nodes: Vec::new(),
        levels: Vec::new(),
        rules: Vec::new(),
        values: 0,
    };
    let response = raw.response.as_ref().map(|raw| {
        let report = &mut *compiler.report;
        report.within(Step::Key("response"), |report| {
            Arc::new(response::compile(raw, &compiler.facts, report))
        })
    });
    let context = Context {
        depth: 0,
        response: response.clone(),
        value_levels: 0,
    };
    let top = compiler.level(raw.descriptors, &context);
    Some(Domain {
        name: (*raw.name.given()?.value).into(),
        shadow_mode: raw.shadow_mode,
        quota_mode: raw.quota_mode,
        response,
        secrets: compiler.facts.secrets,
        rules: compiler.rules,
        nodes: compiler.nodes,
        levels: compiler.levels,
        top,
    })
}

struct Compiler<'r> {
    report: &'r mut Report,
    facts: Facts,
    nodes: Vec<Node>,
    levels: Vec<Level>,
    rules: Vec<Arc<Rule>>,
    /// How many exact values there are.
    values: usize,
}

/// What a level has from those above it.
struct Context {
    /// 0 at the top.
    depth: usize,
    response: Option<Arc<Response>>,
    value_levels: u64,
}

impl Compiler<'_> {
    /// Compiles the nodes of one level; none if there are none.
    fn level(&mut self, descriptors: Vec<RawDescriptor>, context: &Context) -> Option<u32> {
        if descriptors.is_empty() {
            return None;
        }
        let mut draft = Draft::default();
        self.report_within(Step::Key("descriptors"), |compiler| {
            for (at, descriptor) in descriptors.into_iter().enumerate() {
                if compiler.is_full(&descriptor) {
                    return;
                }
                compiler.report_within(Step::Index(at), |compiler| {
                    compiler.descriptor(descriptor, at, &mut draft, context);
                });
            }
            draft.find_unreachable(compiler.report);
        });
        let at = self.levels.len() as u32;
        self.levels.push(draft.finish());
        Some(at)
    }

    fn descriptor(
        &mut self,
        mut raw: RawDescriptor,
        index: usize,
        draft: &mut Draft,
        context: &Context,
    ) {
        if !raw.is_sound {
            return;
        }
        if raw.key.is_absent() {
            self.report
                .say(Code::MissingKey, raw.place, "a descriptor without `key`");
        }
        if context.depth == Domain::MAX_DEPTH {
            let message = format!(
                "no request reaches deeper than {} levels",
                Domain::MAX_DEPTH
            );
            self.report.say(Code::Unreachable, raw.place, message);
        }
        let node = self.nodes.len() as u32;
        self.nodes.push(Node::default());
        self.values += raw.values.given().map_or(0, |values| values.value.len());
        let matcher = matcher::compile(&raw, self.report);
        let shows_value = matcher.as_ref().is_none_or(|matcher| matcher.shows_value());
        let own = raw.response.take().map(|raw| {
            let facts = &self.facts;
            self.report.within(Step::Key("response"), |report| {
                Arc::new(response::compile(&raw, facts, report))
            })
        });
        let mut value_levels = context.value_levels;
        if raw
            .flags
            .iter()
            .any(|flag| flag.value == Flag::ValueToMetric)
            && shows_value
        {
            value_levels |= 1_u64.checked_shl(context.depth as u32).unwrap_or(0);
        }
        let below = Context {
            depth: context.depth + 1,
            response: own.or_else(|| context.response.clone()),
            value_levels,
        };
        self.check_flags(&raw, shows_value);
        let descriptors = std::mem::take(&mut raw.descriptors);
        let filled = Node {
            metadata: raw.metadata.take().map(Arc::new),
            response: below.response.clone(),
            below: self.level(descriptors, &below),
            rule: None,
        };
        let rule = self.rule(&raw, &filled, &below);
        self.nodes[node as usize] = Node { rule, ..filled };
        if let (Some(key), Some(matcher)) = (raw.key.given(), matcher) {
            draft.add(key, matcher, (node, index), self.report);
        }
    }

    fn rule(&mut self, raw: &RawDescriptor, node: &Node, below: &Context) -> Option<Arc<Rule>> {
        let rate_limit = raw.rate_limit.as_ref()?;
        let facts = &self.facts;
        let (limits, replaces) = self.report.within(Step::Key("rate_limit"), |report| {
            limits::compile(rate_limit, facts, report)
        })?;
        let has = |flag| raw.flags.iter().any(|own| own.value == flag);
        let rule = Arc::new(Rule {
            limits,
            shadow_mode: has(Flag::Shadow),
            quota_mode: has(Flag::Quota),
            replaces,
            metric: MetricDetail {
                detailed: has(Flag::DetailedMetric),
                value_levels: below.value_levels,
            },
            metadata: node.metadata.clone(),
            path: self.report.path().into(),
            file: Some(self.report.file().clone()),
            place: rate_limit.place,
        });
        self.rules.push(rule.clone());
        Some(rule)
    }

    /// Flags that change nothing where they stand.
    fn check_flags(&mut self, raw: &RawDescriptor, shows_value: bool) {
        let is_unlimited = raw.rate_limit.as_ref().is_some_and(|rate_limit| {
            let is_true = |flag: &Spanned<bool>| flag.value;
            !rate_limit.is_list
                && rate_limit
                    .limits
                    .iter()
                    .any(|limit| limit.unlimited.as_ref().is_some_and(is_true))
        });
        for flag in &raw.flags {
            let why = match flag.value {
                Flag::Shadow | Flag::Quota | Flag::DetailedMetric if raw.rate_limit.is_none() => {
                    "without `rate_limit` on the same descriptor"
                }
                Flag::Shadow | Flag::Quota if is_unlimited => "on a rule that is `unlimited`",
                Flag::ValueToMetric if !shows_value => {
                    "where the name of the metric already says which value it is"
                }
                _ => continue,
            };
            let message = format!("`{}` has no effect {why}", flag.value.name());
            self.report.say(Code::NoEffect, flag.place, message);
        }
    }

    /// Whether there is no room for more; said once.
    fn is_full(&mut self, next: &RawDescriptor) -> bool {
        let total = self.nodes.len() + self.values;
        if total == MAX_NODES {
            let message = format!("a domain has at most {MAX_NODES} descriptors and values");
            self.report
                .say(Code::TooManyDescriptors, next.place, message);
            self.values += 1;
        }
        total >= MAX_NODES
    }

    fn report_within(&mut self, step: Step, what: impl FnOnce(&mut Self)) {
        self.report.enter(step);
        what(self);
        self.report.leave();
    }
}
