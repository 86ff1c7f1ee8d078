//! The clients that a rule refused most, in bounded memory.

use std::cmp::Reverse;

use crate::top_k::TopK;

/// Clients that are counted per rule.
const CAPACITY: usize = 64;

/// Counts the refused requests of one rule by client.
#[derive(Clone, Debug)]
pub(super) struct TopRefused(TopK<(String, u64)>);

/// A client that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedClient {
    /// The descriptor that was sent, with the values of secret keys masked.
    pub client: String,
    /// Refused requests, never too few.
    pub refused: u64,
    /// By how much `refused` may be too high.
    pub overcount: u64,
    /// The line of a refused request: the first of those that are counted for certain.
    pub line: u64,
}

impl Default for TopRefused {
    fn default() -> Self {
        Self(TopK::new(CAPACITY))
    }
}

impl TopRefused {
    /// Counts a refused request on that line. `label` describes a client without an entry.
    pub(super) fn add(&mut self, client: u64, line: u64, label: impl FnOnce() -> String) {
        self.0.add(client, 1, || (label(), line));
    }

    /// The first `count` clients, those that were refused most first.
    pub(super) fn top(&self, count: usize) -> Vec<RefusedClient> {
        let entries = self.0.entries().iter();
        let mut clients: Vec<RefusedClient> = entries
            .map(|entry| RefusedClient {
                client: entry.value.0.clone(),
                refused: entry.count,
                overcount: entry.overcount,
                line: entry.value.1,
            })
            .collect();
        clients.sort_by_key(|client| (Reverse(client.refused), client.line));
        clients.truncate(count);
        clients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_reported_with_the_line_of_their_first_refusal() {
        let mut refused = TopRefused::default();
        for (line, client) in [3, 1, 3, 2, 3, 1].into_iter().enumerate() {
            refused.add(client, line as u64, || format!("k={client}"));
        }
        let top = refused.top(2);
        let top: Vec<_> = top
            .iter()
            .map(|client| (&*client.client, client.refused, client.line))
            .collect();
        assert_eq!(top, [("k=3", 3, 0), ("k=1", 2, 1)]);
    }
}
