//! Matchers: how a node of a policy matches the value of an entry, other than exactly.
//!
//! Each knows one notation, and an index that finds the node for a value at one level without
//! trying every matcher. None of them knows policies, domains or requests.

pub(crate) mod cidr;
pub(crate) mod path;
pub(crate) mod sha256;
pub(crate) mod wildcard;

/// Counts a step of a lookup, so that tests can compare the cost of lookups among few and many
/// matchers.
#[inline]
fn count_step() {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests;
