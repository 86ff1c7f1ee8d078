//! Random policies that both servers load, and random requests that meet them often.
//!
//! `quota_mode` is left out: the newest reference that Go's module proxy has answers a quota that is over with the status
//! OK, and its later sources with OVER_LIMIT, as weir does. That version also has a star only at the end of a value.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use weir::request::{Cost, Descriptor, Override, Request, Unit};

const KEYS: [&str; 3] = ["tenant", "route", "ip"];
const VALUES: [&str; 7] = ["", "a", "ab", "abc", "b", "x1", "x2"];
const WILDCARDS: [&str; 4] = ["a*", "ab*", "b*", "x*"];
const UNITS: [&str; 2] = ["day", "month"];

/// Numbers from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// The policy of a domain, as text.
pub(crate) fn policy(domain: &str, random: &mut Random) -> String {
    let mut text = format!("domain: {domain}\ndescriptors:\n");
    let mut names = 0;
    level(random, 1, &mut names, &mut text);
    text
}

/// The nodes of a level. Each pair of key and value is there once: twice is an error in both servers.
fn level(random: &mut Random, depth: usize, names: &mut u32, text: &mut String) {
    let mut pairs = BTreeSet::new();
    for _ in 0..=random.below(5) {
        let key = random.one_of(&KEYS);
        let value = match random.below(4) {
            0 => random.one_of(&WILDCARDS),
            1 => "",
            _ => random.one_of(&VALUES),
        };
        if pairs.insert((key, value)) {
            node(random, (key, value), depth, names, text);
        }
    }
}

fn node(
    random: &mut Random,
    (key, value): (&str, &str),
    depth: usize,
    names: &mut u32,
    text: &mut String,
) {
    let indent = "    ".repeat(depth);
    let mut line = |part: std::fmt::Arguments<'_>| writeln!(text, "{indent}  {part}").unwrap();
    line(format_args!("- key: {key}"));
    if !value.is_empty() {
        line(format_args!("  value: \"{value}\""));
    }
    if value.contains('*') && random.once_in(3) {
        line(format_args!("  share_threshold: true"));
    }
    if random.once_in(6) {
        line(format_args!("  shadow_mode: true"));
    }
    match random.below(8) {
        0 => {}
        1 => line(format_args!("  rate_limit: {{unlimited: true}}")),
        _ => {
            let (unit, requests) = (random.one_of(&UNITS), random.below(8));
            let mut more = String::new();
            if random.once_in(2) {
                *names += 1;
                write!(more, ", name: limit{names}").unwrap();
                if *names > 1 && random.once_in(2) {
                    let replaced = 1 + random.below(u64::from(*names) - 1);
                    write!(more, ", replaces: [{{name: limit{replaced}}}]").unwrap();
                }
            }
            line(format_args!(
                "  rate_limit: {{unit: {unit}, requests_per_unit: {requests}{more}}}"
            ));
        }
    }
    if depth < 3 && random.once_in(2) {
        line(format_args!("  descriptors:"));
        level(random, depth + 1, names, text);
    }
}

/// Whether requests of that day may have overrides. The reference names a counter by the start of its window, so on a day
/// on which windows of two lengths start together, a rule and an override share a counter there.
pub(crate) fn has_overrides(day: u64) -> bool {
    !day.is_multiple_of(365) && !day.is_multiple_of(30) && day / 365 * 365 != day / 30 * 30
}

/// A request of a domain.
pub(crate) fn request(domain: &str, has_overrides: bool, random: &mut Random) -> Request {
    let descriptors = (0..=random.below(3)).map(|_| descriptor(has_overrides, random));
    let descriptors = descriptors.collect();
    Request {
        domain: domain.to_owned().into(),
        descriptors,
    }
}

fn descriptor(has_overrides: bool, random: &mut Random) -> Descriptor {
    let depth = 1 + random.below(3);
    let entries = (0..depth).map(|_| (random.one_of(&KEYS), random.one_of(&VALUES)));
    let mut descriptor = Descriptor::new(entries.collect::<Vec<_>>());
    descriptor.cost = match random.below(8) {
        0 => Cost::Peek,
        1 => Cost::Hits(2 + random.below(5) as u32),
        _ => Cost::Hits(1),
    };
    if has_overrides && random.once_in(12) {
        descriptor.limit = Some(Override {
            requests_per_unit: random.below(5) as u32,
            unit: Unit::Year,
            unit_multiplier: 1,
        });
    }
    descriptor
}
