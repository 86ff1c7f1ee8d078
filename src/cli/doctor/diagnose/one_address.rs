//! "All clients share one address": the busiest clients have one `remote_address`, and it is that of a proxy.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::api::DomainTop;
use crate::cli::doctor::finding::{Finding, Symptom};
use crate::cli::doctor::observations::Observations;
use crate::cli::output::count_u64;

/// Hits below which one address is nothing special.
const MIN_HITS: u64 = 50;

pub(super) fn findings(seen: &Observations) -> Vec<Finding> {
    let top = seen.server.iter().flat_map(|server| &server.top);
    let top = top.flat_map(|top| &top.domains);
    top.filter_map(|domain| finding(seen, domain)).collect()
}

fn finding(seen: &Observations, domain: &DomainTop) -> Option<Finding> {
    let clients = domain.clients.requested.iter();
    let mut addresses: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for client in clients {
        if let Some(address) = remote_address(&client.client) {
            *addresses.entry(address).or_default() += client.hits;
        }
    }
    let (&address, &hits) = addresses.first_key_value()?;
    if addresses.len() > 1 || hits < MIN_HITS || !is_internal(address) {
        return None;
    }
    let mut evidence = vec![format!(
        "{} of domain `{}` have `remote_address` {address}, and none has another",
        count_u64(hits, "hit"),
        domain.name
    )];
    let chains = seen.envoy.iter().flat_map(|envoy| &envoy.chains);
    evidence.extend(
        chains
            .filter(|chain| !chain.filters.is_empty() && !chain.uses_remote_address)
            .map(|chain| format!("Envoy's `{}` does not set `use_remote_address`", chain.name)),
    );
    Some(Symptom::ClientsShareAddress.finding(
        "all requests come from one internal address, perhaps that of a proxy",
        evidence,
        "set `use_remote_address: true` and `xff_num_trusted_hops` in Envoy to the number of proxies in front of it",
    ))
}

/// The value of `remote_address` in `remote_address=10.0.0.1, path=/`.
fn remote_address(client: &str) -> Option<IpAddr> {
    let entries = client.split(", ");
    let mut values = entries.filter_map(|entry| entry.strip_prefix("remote_address="));
    values.next()?.parse().ok()
}

/// Whether no client on the Internet has this address.
fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies_are_internal() {
        for (address, expected) in [
            ("10.1.2.3", true),
            ("192.168.0.1", true),
            ("127.0.0.1", true),
            ("100.64.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("fd00::1", true),
            ("100.128.0.1", false),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_internal(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn only_whole_entries_are_addresses() {
        let of = |client| remote_address(client).map(|address| address.to_string());
        assert_eq!(
            of("path=/, remote_address=10.0.0.1"),
            Some("10.0.0.1".to_owned())
        );
        assert_eq!(of("x_remote_address=10.0.0.1"), None);
        assert_eq!(of("remote_address=***"), None);
    }
}
