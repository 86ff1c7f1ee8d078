//! Log lines for requests of domains that no policy defines, one a minute for each domain.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::clock::Timestamp;

/// The shortest time between two lines of one domain.
const INTERVAL_MICROS: u64 = 60_000_000;

/// Domains that are known to have been logged.
const MAX_DOMAINS: usize = 64;

/// The longest name that is logged, in bytes.
const MAX_NAME_LEN: usize = 128;

/// When each domain was logged last, in microseconds, for all threads.
#[derive(Debug, Default)]
pub(super) struct UnknownDomainLog(Mutex<HashMap<Box<[u8]>, u64>>);

impl UnknownDomainLog {
    /// Logs the domain of a request, if it is time to.
    pub(super) fn log(&self, domain: &[u8], now: Timestamp) {
        let name = domain.get(..MAX_NAME_LEN).unwrap_or(domain);
        if self.is_due(name, now) {
            let domain = String::from_utf8_lossy(name);
            tracing::warn!(
                ?domain,
                "request for an unknown domain, nothing is limited; compare the domain of Envoy with the policies"
            );
        }
    }

    fn is_due(&self, name: &[u8], now: Timestamp) -> bool {
        // Another thread is at it: a line less does no harm, and nobody waits.
        let Some(mut logged) = self.0.try_lock() else {
            return false;
        };
        let is_recent = |at: u64| now.micros().abs_diff(at) < INTERVAL_MICROS;
        if let Some(at) = logged.get_mut(name) {
            let is_due = !is_recent(*at);
            if is_due {
                *at = now.micros();
            }
            return is_due;
        }
        if logged.len() >= MAX_DOMAINS {
            return false;
        }
        logged.insert(name.into(), now.micros());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_has_a_line_a_minute_and_domains_are_bounded() {
        let log = UnknownDomainLog::default();
        let at = |secs: u64| Timestamp::from_secs(1_700_000_000 + secs);
        assert!(log.is_due(b"a", at(0)));
        assert!(log.is_due(b"b", at(0)));
        assert!(!log.is_due(b"a", at(59)));
        assert!(log.is_due(b"a", at(60)));
        let due = (0..1_000).filter(|n| log.is_due(format!("x{n}").as_bytes(), at(60)));
        assert_eq!(due.count(), MAX_DOMAINS - 2);
    }
}
