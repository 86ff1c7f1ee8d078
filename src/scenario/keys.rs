//! Every key of a scenario file, in one table: what a file is checked against, what "did you mean"
//! chooses from, and what the JSON Schema is made of.

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The file.
    Root,
    /// An element of `tests`.
    Test,
    /// An element of `steps`.
    Step,
    /// `expect`, as a mapping.
    Expect,
    /// An element of `expect.descriptors`.
    Descriptor,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Text.
    Text,
    /// A path, or a list of paths.
    Paths,
    /// A moment.
    Moment,
    /// A length of time.
    Span,
    /// A whole number, from 0.
    Number,
    /// A whole number, or one per descriptor; the flag says whether it may be negative.
    Numbers(bool),
    /// True or false.
    Flag,
    /// `600 per minute` or `8 at once`.
    Amount,
    /// `600 per minute`, or one per descriptor.
    Rates,
    /// One of the words for how something stands.
    Word,
    /// One descriptor, or a list of them.
    Descriptors,
    /// Names and texts.
    Headers,
    /// Text, or what JSON says.
    Body,
    /// Free-form.
    Mapping,
    /// A list of mappings of that level.
    List(Level),
    /// A list of mappings of that level, or words.
    Words(Level),
    /// A mapping of that level, or a word.
    WordOr(Level),
}

/// A key of the scenario language.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Where it stands.
    pub level: Level,
    /// What it holds.
    pub shape: Shape,
    /// What it says, in one sentence.
    pub doc: &'static str,
}

const fn key(level: Level, name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        level,
        shape,
        doc,
    }
}

use Level::{Descriptor, Expect, Root, Step, Test};

const POLICY: &str =
    "The policy files, relative to this file; NAME.yaml for NAME.test.yaml if left out.";
const START: &str =
    "When tests begin: RFC 3339 in UTC, or Unix seconds; 2026-01-01T00:00:00Z if left out.";
const DOMAIN: &str = "The domain that is asked; the policy's, if it has only one.";
const CODE: &str = "ok, over_limit, no_limit or unlimited.";
const REMAINING: &str = "How many hits would still pass.";
const RESET: &str = "How long until there is room again, in whole seconds.";
const LIMIT: &str = "The limit that is reported.";
const NAME: &str = "The name of the limit that is reported; empty for none.";

/// Every key, by level.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key(Root, "policy", Shape::Paths, POLICY),
    key(Root, "start", Shape::Moment, START),
    key(Root, "domain", Shape::Text, DOMAIN),
    key(Root, "tests", Shape::List(Test), "The tests."),
    key(Test, "name", Shape::Text, "What the test is about."),
    key(Test, "policy", Shape::Paths, POLICY),
    key(Test, "start", Shape::Moment, START),
    key(Test, "domain", Shape::Text, DOMAIN),
    key(Test, "steps", Shape::List(Step), "What happens, in order."),
    key(Step, "ask", Shape::Descriptors, "A request: one descriptor as a mapping, or a list of several."),
    key(Step, "domain", Shape::Text, DOMAIN),
    key(Step, "times", Shape::Number, "How often it is asked; once if left out."),
    key(Step, "every", Shape::Span, "How long it is from one of the times to the next; none if left out."),
    key(Step, "hits", Shape::Numbers(true), "What it costs: 0 looks, a negative number gives back; 1 if left out."),
    key(Step, "refund", Shape::Numbers(false), "How many hits it gives back."),
    key(Step, "look", Shape::Flag, "It asks without counting."),
    key(Step, "limit", Shape::Rates, "A limit instead of the policy's, such as `600 per minute`."),
    key(Step, "keep", Shape::Text, "The lease that is granted, kept under this name."),
    key(Step, "give_back", Shape::Text, "It gives back a lease that was kept under this name."),
    key(Step, "expect", Shape::WordOr(Expect), "What is expected of the answer."),
    key(Step, "wait", Shape::Span, "Time passes: `30s`, `1m30s`, `250ms`."),
    key(Step, "at", Shape::Moment, "It is that time: RFC 3339 in UTC, or Unix seconds."),
    key(Step, "reload", Shape::Paths, "Another policy is in force; counters stay."),
    key(Expect, "code", Shape::Word, CODE),
    key(Expect, "ok", Shape::Number, "How many are let through, before the others are refused."),
    key(Expect, "over_limit", Shape::Number, "How many are refused after them."),
    key(Expect, "remaining", Shape::Number, REMAINING),
    key(Expect, "reset", Shape::Span, RESET),
    key(Expect, "limit", Shape::Amount, LIMIT),
    key(Expect, "name", Shape::Text, NAME),
    key(Expect, "descriptors", Shape::Words(Descriptor), "How each descriptor stands, in order."),
    key(Expect, "headers", Shape::Headers, "All headers of the answer, in any order."),
    key(Expect, "headers_include", Shape::Headers, "Some of the headers; null for one that must not be there."),
    key(Expect, "body", Shape::Body, "The body; empty text for none. JSON is compared by what it says."),
    key(Expect, "lease", Shape::Flag, "Whether a lease is granted."),
    key(Expect, "metadata", Shape::Mapping, "All metadata of the answer."),
    key(Descriptor, "code", Shape::Word, CODE),
    key(Descriptor, "remaining", Shape::Number, REMAINING),
    key(Descriptor, "reset", Shape::Span, RESET),
    key(Descriptor, "limit", Shape::Amount, LIMIT),
    key(Descriptor, "name", Shape::Text, NAME),
];

impl Level {
    /// The keys of this level.
    pub(super) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.level == self)
    }

    /// What messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Root => "the root of the file",
            Self::Test => "a test",
            Self::Step => "a step",
            Self::Expect => "`expect`",
            Self::Descriptor => "an element of `descriptors`",
        }
    }
}
