//! What to answer a configuration server: pure, without connections and timers.
//!
//! A session outlives its streams, since versions and nonces are those of one stream, and the policy in force is not.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::resource::TYPE_URL;
use crate::backoff::Backoff;
use crate::proto::envoy::config::core::v3::Node;
use crate::proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use crate::proto::google::rpc::Status;

/// gRPC's INVALID_ARGUMENT.
const INVALID_ARGUMENT: i32 = 3;

/// The first and the longest time for which a rejection is held back.
///
/// go-control-plane answers a rejection with the same resources at once (its issues 46 and 962).
const FIRST_REJECTION: Duration = Duration::from_secs(1);
const LAST_REJECTION: Duration = Duration::from_secs(15);

/// The resources of a response, whatever their order.
type ResourcesDigest = [u8; 32];

/// The state of the protocol.
#[derive(Debug)]
pub(super) struct Session {
    node: Node,
    /// The last version that was accepted on this stream.
    version: String,
    /// What is in force.
    accepted: Option<ResourcesDigest>,
    /// What was rejected last, and why.
    rejected: Option<(ResourcesDigest, String)>,
    rejections: Backoff,
}

/// What is to be done with a response.
#[derive(Debug, PartialEq)]
pub(super) enum Judgement {
    /// It is what is in force.
    Unchanged(DiscoveryRequest),
    /// It was rejected before: answer after this time.
    RejectedBefore(DiscoveryRequest, Duration),
    /// It is new, and to be loaded.
    New,
}

impl Session {
    pub(super) fn new(node: Node) -> Self {
        Self {
            node,
            version: String::new(),
            accepted: None,
            rejected: None,
            rejections: Backoff::new(FIRST_REJECTION, LAST_REJECTION),
        }
    }

    /// The first request of a stream: for all resources, without a version. A server that has restarted counts its
    /// versions from 1 again, and might conclude that nothing has changed.
    pub(super) fn subscribe(&mut self) -> DiscoveryRequest {
        self.version.clear();
        self.request("")
    }

    /// Compares a response with what is in force and with what was rejected.
    pub(super) fn judge(&mut self, response: &DiscoveryResponse) -> Judgement {
        let digest = digest(response);
        if self.accepted == Some(digest) {
            self.rejected = None;
            return Judgement::Unchanged(self.accept(response));
        }
        match self.rejected.take() {
            Some((rejected, reason)) if rejected == digest => {
                let (request, pause) = self.reject(response, reason);
                Judgement::RejectedBefore(request, pause)
            }
            _ => Judgement::New,
        }
    }

    /// The response is in force.
    pub(super) fn accept(&mut self, response: &DiscoveryResponse) -> DiscoveryRequest {
        self.accepted = Some(digest(response));
        self.version.clone_from(&response.version_info);
        self.rejections.reset();
        self.request(&response.nonce)
    }

    /// The response is not in force, or only in part. The answer is to be sent after the pause.
    pub(super) fn reject(
        &mut self,
        response: &DiscoveryResponse,
        reason: String,
    ) -> (DiscoveryRequest, Duration) {
        let mut request = self.request(&response.nonce);
        request.error_detail = Some(Status {
            code: INVALID_ARGUMENT,
            message: reason.clone(),
        });
        // What was in force may be so no longer, for other domains have changed.
        self.accepted = None;
        self.rejected = Some((digest(response), reason));
        (request, self.rejections.next_delay())
    }

    fn request(&self, nonce: &str) -> DiscoveryRequest {
        DiscoveryRequest {
            version_info: self.version.clone(),
            node: Some(self.node.clone()),
            resource_names: Vec::new(),
            type_url: TYPE_URL.to_owned(),
            response_nonce: nonce.to_owned(),
            error_detail: None,
        }
    }
}

fn digest(response: &DiscoveryResponse) -> ResourcesDigest {
    let resources = response.resources.iter();
    let mut digests: Vec<[u8; 32]> = resources
        .map(|resource| {
            let mut hash = Sha256::new();
            hash.update((resource.type_url.len() as u64).to_le_bytes());
            hash.update(&resource.type_url);
            hash.update(&resource.value);
            hash.finalize().into()
        })
        .collect();
    digests.sort_unstable();
    Sha256::digest(digests.as_flattened()).into()
}

#[cfg(test)]
mod tests {
    use prost_types::Any;

    use super::*;

    fn response(version: &str, nonce: &str, resources: &[&str]) -> DiscoveryResponse {
        let resource = |text: &&str| Any {
            type_url: TYPE_URL.to_owned(),
            value: text.as_bytes().to_vec(),
        };
        DiscoveryResponse {
            version_info: version.to_owned(),
            resources: resources.iter().map(resource).collect(),
            type_url: TYPE_URL.to_owned(),
            nonce: nonce.to_owned(),
        }
    }

    fn session() -> Session {
        Session::new(Node {
            id: "envoy-ratelimit".to_owned(),
            ..Node::default()
        })
    }

    /// Version, nonce and error of a request.
    fn version_nonce_error(request: &DiscoveryRequest) -> (&str, &str, Option<&str>) {
        let error = request.error_detail.as_ref();
        (
            &request.version_info,
            &request.response_nonce,
            error.map(|status| status.message.as_str()),
        )
    }

    #[test]
    fn a_stream_begins_without_a_version_although_one_is_in_force() {
        let mut session = session();
        let subscription = session.subscribe();
        assert_eq!(version_nonce_error(&subscription), ("", "", None));
        assert_eq!(subscription.node.unwrap().id, "envoy-ratelimit");
        assert!(subscription.resource_names.is_empty());
        let first = response("7", "1", &["a"]);
        assert_eq!(session.judge(&first), Judgement::New);
        assert_eq!(
            version_nonce_error(&session.accept(&first)),
            ("7", "1", None)
        );
        assert_eq!(version_nonce_error(&session.subscribe()), ("", "", None));
    }

    #[test]
    fn the_same_resources_in_another_order_are_only_acknowledged() {
        let mut session = session();
        session.accept(&response("1", "1", &["a", "b"]));
        let Judgement::Unchanged(answer) = session.judge(&response("2", "2", &["b", "a"])) else {
            panic!("it has changed");
        };
        assert_eq!(version_nonce_error(&answer), ("2", "2", None));
        assert_eq!(session.judge(&response("3", "3", &["a"])), Judgement::New);
        assert_eq!(
            session.judge(&response("3", "4", &["a", "b", "b"])),
            Judgement::New
        );
    }

    #[test]
    fn no_resources_and_an_empty_version_are_a_configuration() {
        let mut session = session();
        session.accept(&response("1", "1", &["a"]));
        let none = response("", "2", &[]);
        assert_eq!(session.judge(&none), Judgement::New);
        assert_eq!(version_nonce_error(&session.accept(&none)), ("", "2", None));
        assert!(matches!(session.judge(&none), Judgement::Unchanged(_)));
    }

    #[test]
    fn a_rejection_names_the_version_before_and_is_held_back_longer_each_time() {
        let mut session = session();
        session.accept(&response("1", "1", &["a"]));
        let bad = response("2", "2", &["bad"]);
        assert_eq!(session.judge(&bad), Judgement::New);
        let (answer, pause) = session.reject(&bad, "why".to_owned());
        assert_eq!(version_nonce_error(&answer), ("1", "2", Some("why")));
        assert_eq!(pause, Duration::from_secs(1));
        for (nonce, secs) in [("3", 2), ("4", 4), ("5", 8), ("6", 15), ("7", 15)] {
            let again = response("2", nonce, &["bad"]);
            let Judgement::RejectedBefore(answer, pause) = session.judge(&again) else {
                panic!("it is loaded again");
            };
            assert_eq!(version_nonce_error(&answer), ("1", nonce, Some("why")));
            assert_eq!(pause, Duration::from_secs(secs));
        }
        let good = response("3", "8", &["good"]);
        assert_eq!(session.judge(&good), Judgement::New);
        assert_eq!(
            version_nonce_error(&session.accept(&good)),
            ("3", "8", None)
        );
        let (_, pause) = session.reject(&bad, "why".to_owned());
        assert_eq!(pause, Duration::from_secs(1), "it begins again");
    }

    #[test]
    fn what_was_in_force_before_a_rejection_is_loaded_again() {
        let mut session = session();
        let good = response("1", "1", &["a"]);
        session.accept(&good);
        session.reject(&response("2", "2", &["bad"]), "why".to_owned());
        assert_eq!(session.judge(&good), Judgement::New);
    }
}
