//! Addresses with a port, which proxies log and Envoy's descriptors do not contain.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The address of `10.0.0.1:80` or `[::1]:80`; `None` for any other text.
pub(super) fn without_port(text: &str) -> Option<&str> {
    let (address, port) = text.rsplit_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !is_port {
        return None;
    }
    match address.strip_prefix('[') {
        Some(address) => {
            let address = address.strip_suffix(']')?;
            address.parse::<Ipv6Addr>().ok().map(|_| address)
        }
        None => address.parse::<Ipv4Addr>().ok().map(|_| address),
    }
}

/// Whether a port in this field has a meaning: a client chooses `authority` or `host` by it.
pub(super) fn is_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("authority") || name.ends_with("host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_removed_from_addresses_alone() {
        for (text, address) in [
            ("198.51.100.7:40001", Some("198.51.100.7")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("198.51.100.7", None),
            ("2001:db8::1", None),
            ("::1", None),
            ("[::1]", None),
            ("shop.example:80", None),
            ("10.0.0.1:65536", None),
            ("10.0.0.1:", None),
            ("10.0.0.1:+1", None),
            ("10.0.0.300:1", None),
            ("12:30", None),
            ("", None),
        ] {
            assert_eq!(without_port(text), address, "{text}");
        }
        assert!(is_host(":authority") && is_host("upstream_host") && !is_host("address"));
    }
}
