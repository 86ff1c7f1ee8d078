//! Where requests go that are allowed.

use std::net::IpAddr;
use std::str::FromStr;

/// The address of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    /// An IP address without brackets, or a name.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Upstream {
    /// How Envoy's cluster finds it: the fields of the cluster, indented by four spaces.
    pub(super) fn discovery(&self) -> &'static str {
        match self.host.parse::<IpAddr>() {
            Ok(_) => "    type: STATIC",
            // Envoy tries the addresses of both families in turn: only one of those of localhost may be served.
            Err(_) => "    type: LOGICAL_DNS\n    dns_lookup_family: ALL",
        }
    }
}

impl FromStr for Upstream {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected HOST:PORT, such as 127.0.0.1:3000 or orders.internal:8080";
        let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let is_v6 = |host: &str| host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
        let is_name = |host: &str| {
            let is_allowed =
                |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
            !host.is_empty() && host.chars().all(is_allowed)
        };
        let host = match bracketed {
            Some(host) => Some(host).filter(|host| is_v6(host)),
            None => Some(host).filter(|host| is_name(host)),
        };
        let port = port.parse().ok().filter(|port| *port != 0);
        Ok(Self {
            host: host.ok_or(EXPECTED)?.to_owned(),
            port: port.ok_or(EXPECTED)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_accepted() {
        for (text, host, discovery) in [
            ("127.0.0.1:3000", "127.0.0.1", "type: STATIC"),
            ("[::1]:3000", "::1", "type: STATIC"),
            ("localhost:3000", "localhost", "type: LOGICAL_DNS"),
            (
                "orders.internal:3000",
                "orders.internal",
                "type: LOGICAL_DNS",
            ),
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!((upstream.host.as_str(), upstream.port), (host, 3000));
            assert!(upstream.discovery().contains(discovery), "{text}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "localhost",
            ":3000",
            "a:0",
            "a:70000",
            "http://a:3000",
            "::1:3000",
            "[a]:3000",
            "a b:1",
            "a\"b:1",
        ] {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }
}
