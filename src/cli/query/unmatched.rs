//! Why a descriptor met no limit: no rule matches its keys, or the server does not have the domain.
//!
//! An answer is the same in both cases. The admin server lists the domains; it does not learn what was asked.

use std::time::Duration;

use crate::api::Overview;
use crate::cli::output::escape;
use crate::client::{AdminClient, DescriptorStatus, ServerAnswer, TlsOptions};
use crate::request::{Descriptor, Request};

/// The note is not worth a longer wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// Domains that a note lists.
const MAX_DOMAINS: usize = 10;

/// What the admin server says about the domain of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DomainKnowledge {
    /// It was not asked, or did not answer.
    Unasked,
    Known,
    /// It has other domains.
    Missing {
        admin: String,
        domains: Vec<String>,
    },
}

/// Asks the admin server if a descriptor of the request met no limit.
pub(super) async fn ask(
    admin: &str,
    tls: &TlsOptions,
    request: &Request,
    answer: &ServerAnswer,
) -> DomainKnowledge {
    if !answer.statuses.iter().any(is_unlimited) {
        return DomainKnowledge::Unasked;
    }
    let Ok(client) = AdminClient::new(admin, None, tls) else {
        return DomainKnowledge::Unasked;
    };
    let overview = tokio::time::timeout(PATIENCE, client.get("/api/overview")).await;
    let overview = overview.ok().and_then(Result::ok);
    let overview = overview.and_then(|json| serde_json::from_str::<Overview>(&json).ok());
    let Some(overview) = overview else {
        return DomainKnowledge::Unasked;
    };
    let names = overview.domains.into_iter().map(|domain| domain.name);
    let domains: Vec<String> = names.collect();
    match domains.iter().any(|name| name.as_bytes() == request.domain) {
        true => DomainKnowledge::Known,
        false => DomainKnowledge::Missing {
            admin: admin.to_owned(),
            domains,
        },
    }
}

/// One line, or none if every descriptor met a rule.
pub(super) fn note(
    request: &Request,
    answer: &ServerAnswer,
    knowledge: &DomainKnowledge,
) -> Option<String> {
    let asked = request.descriptors.iter().zip(&answer.statuses);
    let unlimited = asked.filter(|(_, status)| is_unlimited(status));
    let keys: Vec<String> = unlimited.map(|(descriptor, _)| keys(descriptor)).collect();
    if keys.is_empty() {
        return None;
    }
    let keys = keys.join(", ");
    let domain = escape(&String::from_utf8_lossy(&request.domain));
    Some(match knowledge {
        DomainKnowledge::Missing { admin, domains } => {
            let domains = listed(domains);
            format!("no limit: {admin} has no domain `{domain}`; it has {domains}")
        }
        DomainKnowledge::Known => {
            format!(
                "no limit: no rule that counts in domain `{domain}` matches the keys {keys}; `weir explain` says why"
            )
        }
        DomainKnowledge::Unasked => format!(
            "no limit: no rule that counts matches the keys {keys}, or the server has no domain `{domain}`; \
             `weir explain` says why"
        ),
    })
}

/// Without a reported limit, 0 remaining means that no rule counts; an unlimited rule has the maximum.
fn is_unlimited(status: &DescriptorStatus) -> bool {
    status.limit.is_none() && status.remaining == 0
}

/// The keys of a descriptor, without its values.
fn keys(descriptor: &Descriptor) -> String {
    let keys = descriptor
        .entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.key));
    let keys: Vec<_> = keys.collect();
    format!("`{}`", escape(&keys.join(" ")))
}

fn listed(domains: &[String]) -> String {
    let names = domains.iter().take(MAX_DOMAINS).map(|name| escape(name));
    let names: Vec<String> = names.collect();
    match domains.len().saturating_sub(MAX_DOMAINS) {
        0 if names.is_empty() => "none".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
