//! Which node of a cluster serves a hash slot.
//!
//! The client library routes commands by itself; this map only decides which circuit breaker a call
//! belongs to. A stale entry therefore costs accuracy of the breakers, never a wrong answer.

use redis::{Value, cmd};

use super::connect::RedisConnection;
use super::shared::Shared;
use crate::store::StoreError;

/// How many nodes to ask, as the client picks one at random that may be the one that is down.
const ATTEMPTS: usize = 3;

/// Hash slots by node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NodeMap {
    /// Ranges in order.
    ranges: Vec<Range>,
    /// The ids of the nodes.
    nodes: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    /// An index into `nodes`.
    node: usize,
}

impl NodeMap {
    /// A single node, which serves every key.
    pub(super) fn single() -> Self {
        Self {
            ranges: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Asks the cluster.
    pub(super) async fn load(
        shared: &Shared,
        connection: &mut RedisConnection,
    ) -> Result<Self, StoreError> {
        if !connection.is_cluster() {
            return Ok(Self::single());
        }
        let mut slots = cmd("CLUSTER");
        slots.arg("SLOTS");
        let mut result = Err(StoreError::Timeout);
        for _ in 0..ATTEMPTS {
            result = connection.send_within(shared.deadline, &slots).await;
            if result.is_ok() {
                break;
            }
        }
        Self::parse(&result?).ok_or(StoreError::UnexpectedReply)
    }

    /// Nodes by index, and one more for hash slots that no node serves.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() + 1
    }

    pub(super) fn node_of(&self, slot: u16) -> usize {
        let at = self.ranges.partition_point(|range| range.last < slot);
        let range = self.ranges.get(at).filter(|range| range.first <= slot);
        range.map_or(self.nodes.len(), |range| range.node)
    }

    /// The id of the node that serves a hash slot.
    pub(super) fn id_of(&self, slot: u16) -> Option<&[u8]> {
        self.nodes.get(self.node_of(slot)).map(Vec::as_slice)
    }

    /// The reply to `CLUSTER SLOTS`: per range its bounds, then its master as host, port, id.
    fn parse(reply: &Value) -> Option<Self> {
        let mut entries = Vec::new();
        for entry in as_array(reply)? {
            match as_array(entry)? {
                [first, last, master, ..] => {
                    let [_, _, Value::BulkString(id), ..] = as_array(master)? else {
                        return None;
                    };
                    entries.push((as_slot(first)?, as_slot(last)?, id));
                }
                _ => return None,
            }
        }
        entries.sort_unstable();
        let mut map = Self::single();
        for (first, last, id) in entries {
            let known = map.nodes.iter().position(|node| node == id);
            let node = known.unwrap_or_else(|| {
                map.nodes.push(id.clone());
                map.nodes.len() - 1
            });
            map.ranges.push(Range { first, last, node });
        }
        Some(map)
    }
}

fn as_array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn as_slot(value: &Value) -> Option<u16> {
    match value {
        Value::Int(slot) => u16::try_from(*slot).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, id: &str) -> Value {
        let host = Value::BulkString(b"127.0.0.1".to_vec());
        let id = Value::BulkString(id.as_bytes().to_vec());
        let master = Value::Array(vec![host, Value::Int(7000), id]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master])
    }

    #[test]
    fn slots_belong_to_the_node_of_their_range() {
        let ranges = [
            range(5461, 9999, "b"),
            range(0, 5460, "a"),
            range(12_000, 16_383, "a"),
        ];
        let map = NodeMap::parse(&Value::Array(ranges.to_vec())).unwrap();
        let nodes = [0, 5460, 5461, 9999, 10_000, 16_383].map(|slot| map.node_of(slot));
        assert_eq!(nodes, [0, 0, 1, 1, 2, 0]);
        assert_eq!(map.len(), 3);
    }

    #[test]
    fn other_replies_are_refused() {
        for reply in [
            Value::Nil,
            Value::Array(vec![Value::Array(vec![Value::Int(1)])]),
        ] {
            assert_eq!(NodeMap::parse(&reply), None);
        }
    }
}
