//! The request of each call, with the number of the client inserted.

use prost::Message;
use weir::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use weir::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use weir::proto::envoy::service::ratelimit::v3::RateLimitRequest;

/// The placeholder for the number of the client in a value.
pub(crate) const CLIENT: &str = "0000000000000000";

/// A gRPC message: a byte that means "not compressed", four bytes of length, the request.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    clients_at: Vec<usize>,
}

impl Template {
    /// A request with descriptors, each a list of keys and values.
    pub(crate) fn new(domain: &str, descriptors: &[&[(&str, &str)]]) -> Self {
        let entry = |(key, value): &(&str, &str)| Entry {
            key: key.to_string().into(),
            value: value.to_string().into(),
        };
        let descriptor = |entries: &&[(&str, &str)]| RateLimitDescriptor {
            entries: entries.iter().map(entry).collect(),
            ..RateLimitDescriptor::default()
        };
        let request = RateLimitRequest {
            domain: domain.to_owned().into(),
            descriptors: descriptors.iter().map(descriptor).collect(),
            ..RateLimitRequest::default()
        };
        let message = request.encode_to_vec();
        let mut bytes = vec![0];
        bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&message);
        let clients_at = bytes
            .windows(CLIENT.len())
            .enumerate()
            .filter(|(_, window)| *window == CLIENT.as_bytes())
            .map(|(at, _)| at)
            .collect();
        Self { bytes, clients_at }
    }

    /// The message with an arbitrary client.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes the number of a client into a copy of the message.
    pub(crate) fn write_client(&self, client: u64, message: &mut [u8]) {
        let mut digits = [0; CLIENT.len()];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(client >> (4 * place)) as usize & 15];
        }
        for at in &self.clients_at {
            message[*at..at + CLIENT.len()].copy_from_slice(&digits);
        }
    }
}
